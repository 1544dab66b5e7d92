/*
 * What a helper takes while nothing happens, and whether it stays as small as it is, however much does.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { cpuTime, residentOf } from '../accounting.ts';
import { Bus } from '../listeners.ts';
import { runLoad } from '../load.ts';
import type { Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

/** Forks; each makes two events. */
const total = sized(5_000_000, 5000);
const steps = 10;
/** Seconds without a load. */
const silence = sized(60, 2);

/** % of a CPU that a process takes while nothing happens. */
async function idleShare(pid: number): Promise<number> {
  // What the last load has left to do is not idleness.
  await delay(sized(5000, 100));
  const before = cpuTime([pid]);
  await delay(silence * 1000);
  return (100 * (cpuTime([pid]) - before)) / silence;
}

/** The scenario `footprint`. */
export const footprint: Scenario = {
  name: 'footprint',
  about: `the helper’s memory and CPU time, idle and while ${(2 * total).toLocaleString('en-US')} events are told to a subscriber`,
  run: async (progress) => {
    const bus = await Bus.start();
    try {
      await bus.subscribe(1);
      const idle = [await idleShare(bus.pid)];
      const figures: { events: number; rss: number; cpu: number }[] = [];
      for (let step = 1; step <= steps; step++) {
        const before = cpuTime([bus.pid]);
        const { seconds } = await runLoad('forks', total / steps);
        await bus.accounts();
        const cpu = (100 * (cpuTime([bus.pid]) - before)) / seconds;
        figures.push({ events: (2 * step * total) / steps, rss: residentOf(bus.pid), cpu });
        progress(`${((2 * step * total) / steps).toLocaleString('en-US')} events`);
      }
      idle.push(await idleShare(bus.pid));
      const lost = await bus.lost();
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
