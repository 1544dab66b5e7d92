/*
 * What it costs that a command prints every event: with procbus, helper and command together, and with other tools.
 */
import { Bus, Direct, quiet, type Listeners } from '../listeners.ts';
import { perEvent, runLoad, type LoadKind } from '../load.ts';
import { isInstalled } from '../programs.ts';
import { alternate, ratio, spread } from '../rounds.ts';
import type { Report, Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

interface Load {
  readonly kind: LoadKind;
  readonly count: number;
}

const loads: readonly Load[] = [
  { kind: 'forks', count: sized(15_000, 500) },
  { kind: 'execs', count: sized(3000, 100) },
];

const others: Readonly<Record<string, string[]>> = { forkstat: ['-e', 'all'], extrace: [] };

/** Microseconds of CPU time an event, of all programs involved. */
async function costOf(listeners: Listeners, { kind, count }: Load): Promise<number> {
  await runLoad(kind, count);
  await quiet(listeners);
  const before = listeners.cpuTime();
  await runLoad(kind, count);
  await quiet(listeners);
  return perEvent(listeners.cpuTime() - before, kind, count);
}

async function costOfTool(tool: Direct, load: Load): Promise<number> {
  try {
    return await costOf(tool, load);
  } finally {
    await tool.stop();
  }
}

async function costOfBus(load: Load): Promise<number> {
  const bus = await Bus.start();
  try {
    await bus.watch('--json');
    const cost = await costOf(bus, load);
    const lost = await bus.lost();
    if (lost > 0) throw new Error(`${lost} events were lost`);
    return cost;
  } finally {
    await bus.stop();
  }
}

async function run(progress: (text: string) => void): Promise<Report> {
  const measures: Record<string, () => Promise<number>> = {};
  for (const load of loads) {
    measures[`${load.kind}, procbus`] = async () => costOfBus(load);
    for (const [name, args] of Object.entries(others)) {
      if (isInstalled(name))
        measures[`${load.kind}, ${name}`] = async () => costOfTool(Direct.tool(name, args), load);
    }
  }
  const figures = await alternate(measures, progress);
  const targets = Object.keys(figures).flatMap((name) => {
    const [kind, tool] = name.split(', ');
    const share = ratio(figures[`${kind}, procbus`], figures[name]);
    return tool === 'procbus'
      ? []
      : [{ what: `${kind}: ${share.toFixed(2)} of ${tool}, less than 1`, met: share < 1 }];
  });
  return {
    columns: ['load', 'µs of CPU an event'],
    rows: Object.entries(figures).map(([name, values]) => [name, spread(values, 2)]),
    targets,
    figures,
  };
}

/** The scenario `relay`. */
export const relay: Scenario = {
  name: 'relay',
  about: 'CPU time of helper and procbus watch --json for an event, beside forkstat(8) and extrace(1)',
  run,
};
