/*
 * What a machine full of threads notices of procbus, as long as nobody asks for threads.
 */
import { Bus } from '../listeners.ts';
import { runLoad } from '../load.ts';
import { ratio, rounds, spread } from '../rounds.ts';
import { median, type Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

const count = sized(200_000, 2000);
/** Threads that are made first: the start of a helper, and of a load, is not what is measured. */
const warmUp = sized(20_000, 1000);

/** The scenario `threads`. */
export const threads: Scenario = {
  name: 'threads',
  about: 'how fast a machine makes threads while a subscriber sees all but threads',
  run: async (progress) => {
    const [alone, watched, share]: number[][] = [[], [], []];
    for (let round = 1; round <= rounds; round++) {
      progress(`round ${round} of ${rounds}`);
      alone?.push((await runLoad('threads', count)).rate);
      const bus = await Bus.start();
      try {
        await bus.subscribe(1);
        await runLoad('threads', warmUp);
        const before = bus.helperTime();
        const { rate, seconds } = await runLoad('threads', count);
        watched?.push(rate);
        share?.push((100 * (bus.helperTime() - before)) / seconds);
      } finally {
        await bus.stop();
      }
    }
    const kept = ratio(watched, alone);
    return {
      columns: ['threads', 'a second', '÷ nobody', '% of a CPU'],
      rows: [
        ['nobody', spread(alone ?? [], 0), '1.00', ''],
        ['procbus', spread(watched ?? [], 0), kept.toFixed(2), spread(share ?? [], 2)],
      ],
      targets: [
        { what: 'at least 0.98 of the rate without', met: kept >= 0.98 },
        { what: 'the helper takes less than 1 % of a CPU', met: median(share ?? []) < 1 },
      ],
      figures: { alone, watched, share },
    };
  },
};
