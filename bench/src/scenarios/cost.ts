/*
 * What an event costs the helper, beside the textbook listener in C.
 */
import type { WatchOptions } from '@procbus/client';
import { lostOf } from '../exact.ts';
import { Bus, Direct } from '../listeners.ts';
import { perEvent, runLoad, warmUp } from '../load.ts';
import { inRepository } from '../programs.ts';
import { alternate, ratio, spread, type Measured } from '../rounds.ts';
import type { Report, Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

/** Loads, and how many times. */
const loads = { forks: sized(10_000, 500), execs: sized(3000, 100) } as const;

/** With it, nobody is told of programs. */
const noDetails = inRepository('bench/no-details.toml');

/** Microseconds an event. */
async function referenceCost(kind: keyof typeof loads): Promise<number> {
  const reference = Direct.references(1);
  try {
    await runLoad(kind, loads[kind] / 10);
    const before = reference.cpuTime();
    await runLoad(kind, loads[kind]);
    return perEvent(reference.cpuTime() - before, kind, loads[kind]);
  } finally {
    await reference.stop();
  }
}

/** Microseconds an event, of a helper alone that is warm. */
async function helperCost(bus: Bus, kind: keyof typeof loads): Promise<number> {
  const before = bus.helperTime();
  await runLoad(kind, loads[kind]);
  const lost = lostOf(await bus.accounts(), kind, loads[kind]);
  if (lost > 0) throw new Error(`${lost} events were lost`);
  return perEvent(bus.helperTime() - before, kind, loads[kind]);
}

const measures: readonly (() => Promise<Measured>)[] = [
  async () => ({
    'forks, reference': await referenceCost('forks'),
    'execs, reference': await referenceCost('execs'),
  }),
  async () =>
    withBus({}, ['--config', noDetails], async (bus) => ({
      'forks, helper, details off': await helperCost(bus, 'forks'),
      'execs, helper, details off': await helperCost(bus, 'execs'),
    })),
  async () =>
    withBus({ include: ['exe', 'args'] }, [], async (bus) => ({
      'execs, helper, exe and args': await helperCost(bus, 'execs'),
    })),
];

/** Measures with a helper and one subscriber that are warm. */
async function withBus(
  options: WatchOptions,
  args: readonly string[],
  measure: (bus: Bus) => Promise<Measured>,
): Promise<Measured> {
  const bus = await Bus.start(...args);
  try {
    await bus.subscribe(1, options);
    await warmUp(async () => bus.accounts());
    return await measure(bus);
  } finally {
    await bus.stop();
  }
}

async function run(progress: (text: string) => void): Promise<Report> {
  const figures = await alternate(measures, progress);
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
