/*
 * What an event costs the helper, beside the textbook listener in C.
 */
import type { WatchOptions } from '@procbus/client';
import { lostOf } from '../exact.ts';
import { Bus, Direct } from '../listeners.ts';
import { perEvent, runLoad, type LoadKind } from '../load.ts';
import { inRepository } from '../programs.ts';
import { alternate, ratio, spread } from '../rounds.ts';
import type { Report, Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

/** One load, and how many times; what comes before makes all warm. */
interface Load {
  readonly kind: LoadKind;
  readonly count: number;
  readonly warmUp: number;
}

const forks: Load = { kind: 'forks', count: sized(10_000, 500), warmUp: sized(36_000, 500) };
const execs: Load = { kind: 'execs', count: sized(1500, 100), warmUp: sized(6000, 100) };

/** With it, nobody is told of programs. */
const noDetails = inRepository('bench/no-details.toml');

const everything: WatchOptions = {};
const withPrograms: WatchOptions = { include: ['exe', 'args'] };

/** Microseconds an event. */
async function referenceCost({ kind, count }: Load): Promise<number> {
  const reference = Direct.references(1);
  try {
    await runLoad(kind, count / 10);
    const before = reference.cpuTime();
    await runLoad(kind, count);
    return perEvent(reference.cpuTime() - before, kind, count);
  } finally {
    await reference.stop();
  }
}

/** Microseconds an event, of the helper alone. */
async function helperCost(
  { kind, count, warmUp }: Load,
  options: WatchOptions,
  ...args: string[]
): Promise<number> {
  const bus = await Bus.start(...args);
  try {
    await bus.subscribe(1, options);
    await runLoad(kind, warmUp);
    await bus.accounts();
    const before = bus.helperTime();
    await runLoad(kind, count);
    const lost = lostOf(await bus.accounts(), kind, count);
    if (lost > 0) throw new Error(`${lost} events were lost`);
    return perEvent(bus.helperTime() - before, kind, count);
  } finally {
    await bus.stop();
  }
}

async function run(progress: (text: string) => void): Promise<Report> {
  const figures = await alternate(
    {
      'forks, reference': async () => referenceCost(forks),
      'forks, helper, details off': async () => helperCost(forks, everything, '--config', noDetails),
      'execs, reference': async () => referenceCost(execs),
      'execs, helper, details off': async () => helperCost(execs, everything, '--config', noDetails),
      'execs, helper, exe and args': async () => helperCost(execs, withPrograms),
    },
    progress,
  );
  const of = (name: string): number => {
    const [load] = name.split(',');
    return ratio(figures[name], figures[`${load}, reference`]);
  };
  const target = (name: string, most: number): Report['targets'][number] => ({
    what: `${name}: at most ${most.toFixed(1)} of the reference`,
    met: of(name) <= most,
  });
  return {
    columns: ['load', 'µs of CPU an event', '÷ reference'],
    rows: Object.entries(figures).map(([name, values]) => [name, spread(values, 2), of(name).toFixed(2)]),
    targets: [
      target('forks, helper, details off', 1),
      target('execs, helper, details off', 1),
      target('execs, helper, exe and args', 3),
    ],
    figures,
  };
}

/** The scenario `cost`. */
export const cost: Scenario = {
  name: 'cost',
  about: 'CPU time of the helper for an event, one subscriber to all events, beside the textbook listener',
  run,
};
