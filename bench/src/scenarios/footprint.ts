/*
 * What a helper takes while nothing happens, and whether it stays as small as it is, however much does.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { cpuTime, residentOf } from '../accounting.ts';
import { lostOf } from '../exact.ts';
import { Bus } from '../listeners.ts';
import { runLoad, type LoadKind } from '../load.ts';
import type { Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

/** Each makes two events. They come in steps, some of the first and then some of the second. */
const loads: readonly [kind: LoadKind, count: number][] = [
  ['forks', sized(1_000_000, 2000)],
  ['threads', sized(4_000_000, 8000)],
];
const total = 2 * loads.reduce((sum, [, count]) => sum + count, 0);
const steps = 10;
/** Seconds without a load. */
const silence = sized(120, 2);
/** Seconds that V8 collects garbage for, on and on, when there is little to do for the first time. */
const tidying = sized(40, 0.1);

/** % of a CPU that a process takes while nothing happens. */
async function idleShare(pid: number): Promise<number> {
  // What the last load has left to do is not idleness.
  await delay(1000 * tidying);
  const before = cpuTime([pid]);
  await delay(silence * 1000);
  return (100 * (cpuTime([pid]) - before)) / silence;
}

/** The scenario `footprint`. */
export const footprint: Scenario = {
  name: 'footprint',
  about: `the helper’s memory and CPU time, idle and while ${total.toLocaleString('en-US')} events are told to a subscriber`,
  run: async (progress) => {
    const bus = await Bus.start();
    try {
      await bus.subscribe(1, { threads: true });
      const idle = [await idleShare(bus.pid)];
      let lost = 0;
      const figures: { events: number; rss: number; cpu: number }[] = [];
      for (let step = 1; step <= steps; step++) {
        const before = cpuTime([bus.pid]);
        let seconds = 0;
        for (const [kind, count] of loads) {
          seconds += (await runLoad(kind, count / steps)).seconds;
          lost += lostOf(await bus.accounts(), kind, count / steps);
        }
        const cpu = (100 * (cpuTime([bus.pid]) - before)) / seconds;
        const events = (step * total) / steps;
        figures.push({ events, rss: residentOf(bus.pid), cpu });
        progress(`${events.toLocaleString('en-US')} events`);
      }
      idle.push(await idleShare(bus.pid));
      const warm = figures[1]?.rss ?? Number.NaN;
      const most = Math.max(...figures.slice(2).map(({ rss }) => rss));
      return {
        columns: ['events', 'RSS', '% of a CPU'],
        rows: [
          ['idle, before', '', (idle[0] ?? Number.NaN).toFixed(2)],
          ...figures.map(({ events, rss, cpu }) => [
            events.toLocaleString('en-US'),
            `${rss.toFixed(1)} MiB`,
            cpu.toFixed(1),
          ]),
          ['idle, after', `${residentOf(bus.pid).toFixed(1)} MiB`, (idle[1] ?? Number.NaN).toFixed(2)],
        ],
        targets: [
          { what: 'idle: less than 0.2 % of a CPU', met: idle.every((share) => share < 0.2) },
          { what: 'from a fifth of the events on, memory grows by less than 5 %', met: most < 1.05 * warm },
          { what: `nothing is lost (${lost})`, met: lost === 0 },
        ],
        figures: { idle, steps: figures, lost },
      };
    } finally {
      await bus.stop();
    }
  },
};
