/*
 * What it costs that a command prints every event: with procbus, helper and command together, and with other tools.
 */
import { Bus, Direct, quiet, type Listeners } from '../listeners.ts';
import { perEvent, runLoad, warmUp } from '../load.ts';
import { isInstalled } from '../programs.ts';
import { alternate, ratio, spread, type Measured } from '../rounds.ts';
import type { Report, Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

/** Loads, and how many times. */
const loads = { forks: sized(15_000, 500), execs: sized(3000, 100) } as const;
const kinds = Object.keys(loads) as (keyof typeof loads)[];

const others: Readonly<Record<string, string[]>> = { forkstat: ['-e', 'all'], extrace: [] };

/** Microseconds of CPU time an event, of all programs involved, by load. */
async function costOf(name: string, listeners: Listeners): Promise<Measured> {
  const costs: Record<string, number> = {};
  for (const kind of kinds) {
    await quiet(listeners);
    const before = listeners.cpuTime();
    await runLoad(kind, loads[kind]);
    await quiet(listeners);
    costs[`${kind}, ${name}`] = perEvent(listeners.cpuTime() - before, kind, loads[kind]);
  }
  return costs;
}

async function costOfTool(name: string, args: readonly string[]): Promise<Measured> {
  const tool = Direct.tool(name, args);
  try {
    for (const kind of kinds) await runLoad(kind, loads[kind] / 10);
    return await costOf(name, tool);
  } finally {
    await tool.stop();
  }
}

async function costOfBus(): Promise<Measured> {
  const bus = await Bus.start();
  try {
    await bus.watch('--json');
    await warmUp(async () => quiet(bus));
    const costs = await costOf('procbus', bus);
    const lost = await bus.lost();
    if (lost > 0) throw new Error(`${lost} events were lost`);
    return costs;
  } finally {
    await bus.stop();
  }
}

async function run(progress: (text: string) => void): Promise<Report> {
  const tools = Object.entries(others).filter(([name]) => isInstalled(name));
  const figures = await alternate(
    [
      costOfBus,
      ...tools.map(
        ([name, args]) =>
          async () =>
            costOfTool(name, args),
      ),
    ],
    progress,
  );
  const targets = Object.keys(figures).flatMap((name) => {
    const [kind, tool] = name.split(', ');
    const share = ratio(figures[`${kind}, procbus`], figures[name]);
    return tool === 'procbus'
      ? []
      : [{ what: `${kind}: ${share.toFixed(2)} of ${tool}, less than 1`, met: share < 1 }];
  });
  return {
    columns: ['load', 'µs of CPU an event'],
    rows: kinds.flatMap((kind) =>
      Object.entries(figures)
        .filter(([name]) => name.startsWith(kind))
        .map(([name, values]) => [name, spread(values, 2)]),
    ),
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
