/*
 * What a machine full of threads notices of procbus, as long as nobody asks for threads; beside a listener in C for
 * which the kernel drops all, which is the least that listening takes.
 */
import { Bus, Direct } from '../listeners.ts';
import { runLoad } from '../load.ts';
import { alternate, ratio, spread, type Measured } from '../rounds.ts';
import { median, type Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

const count = sized(200_000, 2000);
/** Threads that are made first: the start of a helper, and of a load, is not what is measured. */
const warmUp = sized(20_000, 1000);

/** A second, while nobody listens. */
async function alone(): Promise<Measured> {
  return { nobody: (await runLoad('threads', count)).rate };
}

/** A second, beside a listener whose filter drops all. */
async function besideDeaf(): Promise<Measured> {
  const listener = Direct.deaf();
  try {
    await runLoad('threads', warmUp);
    return { 'a filter that drops all': (await runLoad('threads', count)).rate };
  } finally {
    await listener.stop();
  }
}

/** A second, beside a helper with a subscriber; and what that helper takes, in % of a CPU. */
async function besideHelper(): Promise<Measured> {
  const bus = await Bus.start();
  try {
    await bus.subscribe(1);
    await runLoad('threads', warmUp);
    const before = bus.helperTime();
    const { rate, seconds } = await runLoad('threads', count);
    return { procbus: rate, share: (100 * (bus.helperTime() - before)) / seconds };
  } finally {
    await bus.stop();
  }
}

/** The scenario `threads`. */
export const threads: Scenario = {
  name: 'threads',
  about: 'how fast a machine makes threads while a subscriber sees all but threads',
  run: async (progress) => {
    const { share = [], ...rates } = await alternate([alone, besideDeaf, besideHelper], progress);
    const kept = (name: string): number => ratio(rates[name], rates['nobody']);
    return {
      columns: ['threads', 'a second', '÷ nobody', '% of a CPU'],
      rows: Object.entries(rates).map(([name, values]) => [
        name,
        spread(values, 0),
        kept(name).toFixed(2),
        name === 'procbus' ? spread(share, 2) : '',
      ]),
      targets: [
        { what: 'at least 0.98 of the rate without', met: kept('procbus') >= 0.98 },
        { what: 'the helper takes less than 1 % of a CPU', met: median(share) < 1 },
      ],
      figures: { ...rates, share },
    };
  },
};
