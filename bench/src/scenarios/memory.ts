/*
 * Whether a helper stays as small as it is, however many processes come and go.
 */
import { connect } from '@procbus/client';
import { residentOf } from '../accounting.ts';
import { loadProgram } from '../load.ts';
import { finish, startHelper } from '../programs.ts';
import type { Scenario } from '../scenario.ts';

const total = 1_000_000;
const steps = 10;

/** The scenario `memory`. */
export const memory: Scenario = {
  name: 'memory',
  about: `the helper’s memory and table, while ${total.toLocaleString('en-US')} processes come and go`,
  run: async (progress) => {
    const helper = await startHelper();
    const bus = await connect({ socket: helper.socket });
    try {
      const figures: { processes: number; rss: number; living: number; ended: number; lost: number }[] = [];
      for (let step = 0; step <= steps; step++) {
        if (step > 0) await finish(loadProgram(), ['forks', String(total / steps)]);
        const { helper: told } = await bus.stats();
        if (told === undefined) throw new Error('the helper tells nothing of itself');
        const { processes, lost } = told;
        const processesSoFar = (step * total) / steps;
        figures.push({
          processes: processesSoFar,
          rss: residentOf(helper.pid),
          ...processes,
          lost: lost.kernel,
        });
        progress(`${processesSoFar.toLocaleString('en-US')} processes`);
      }
      const warm = figures[2]?.rss ?? Number.NaN;
      const last = figures.at(-1)?.rss ?? Number.NaN;
      return {
        columns: ['processes', 'RSS', 'living', 'ended', 'lost'],
        rows: figures.map(({ processes, rss, living, ended, lost }) => [
          processes.toLocaleString('en-US'),
          `${rss.toFixed(1)} MiB`,
          String(living),
          String(ended),
          String(lost),
        ]),
        targets: [
          {
            what: `from ${(2 * total) / steps} processes on, memory grows by less than 5 %`,
            met: last < 1.05 * warm,
          },
        ],
        figures,
      };
    } finally {
      await bus.close();
      await helper.stop();
    }
  },
};
