/*
 * What a machine full of threads notices of procbus, as long as nobody asks for threads; beside a listener in C for
 * which the kernel drops all, which is the least that listening takes.
 */
import { Bus, Direct } from '../listeners.ts';
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
    const [alone, deaf, watched, share]: [number[], number[], number[], number[]] = [[], [], [], []];
    for (let round = 1; round <= rounds; round++) {
      progress(`round ${round} of ${rounds}`);
      alone.push((await runLoad('threads', count)).rate);
      const listener = Direct.deaf();
      try {
        await runLoad('threads', warmUp);
        deaf.push((await runLoad('threads', count)).rate);
      } finally {
        await listener.stop();
      }
      const bus = await Bus.start();
      try {
        await bus.subscribe(1);
        await runLoad('threads', warmUp);
        const before = bus.helperTime();
        const { rate, seconds } = await runLoad('threads', count);
        watched.push(rate);
        share.push((100 * (bus.helperTime() - before)) / seconds);
      } finally {
        await bus.stop();
      }
    }
    const kept = ratio(watched, alone);
    return {
      columns: ['threads', 'a second', '÷ nobody', '% of a CPU'],
      rows: [
        ['nobody', spread(alone, 0), '1.00', ''],
        ['a filter that drops all', spread(deaf, 0), ratio(deaf, alone).toFixed(2), ''],
        ['procbus', spread(watched, 0), kept.toFixed(2), spread(share, 2)],
      ],
      targets: [
        { what: 'at least 0.98 of the rate without', met: kept >= 0.98 },
        { what: 'the helper takes less than 1 % of a CPU', met: median(share) < 1 },
      ],
      figures: { alone, deaf, watched, share },
    };
  },
};
