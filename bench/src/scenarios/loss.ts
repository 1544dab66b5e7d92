/*
 * Whether anything is lost at the highest rate that this machine reaches, for a minute.
 */
import { lostOf } from '../exact.ts';
import { Bus } from '../listeners.ts';
import { made, runLoad } from '../load.ts';
import type { Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

const seconds = sized(60, 2);
const subscribers = sized(32, 4);

/** The scenario `loss`. */
export const loss: Scenario = {
  name: 'loss',
  about: `what is lost in ${seconds} s of the fastest load there is, threads, with ${subscribers} subscribers to all of it`,
  run: async (progress) => {
    const bus = await Bus.start();
    try {
      await bus.subscribe(subscribers, { threads: true });
      // As fast as it will be: who subscribes has to be warm.
      await runLoad('threads', sized(40_000, 2000));
      await bus.accounts();
      const { rate } = await runLoad('threads', sized(20_000, 2000));
      await bus.accounts();
      progress(`about ${Math.round(rate).toLocaleString('en-US')} threads a second`);
      // A little more: it may get faster.
      const count = Math.round(1.1 * rate * seconds);
      const run = await runLoad('threads', count);
      const toSubscribers = lostOf(await bus.accounts(), 'threads', count);
      const anywhere = await bus.lost();
      const events = made.threads.length * count;
      return {
        columns: ['', 'of all', 'a second'],
        rows: [
          ['seconds', run.seconds.toFixed(0), ''],
          [
            'events',
            events.toLocaleString('en-US'),
            Math.round(events / run.seconds).toLocaleString('en-US'),
          ],
          ['lost', String(anywhere), ''],
          ['told to be lost, by all subscribers', String(toSubscribers), ''],
        ],
        targets: [{ what: 'nothing is lost', met: anywhere === 0 && toSubscribers === 0 }],
        figures: { events, seconds: run.seconds, lost: anywhere, toSubscribers },
      };
    } finally {
      await bus.stop();
    }
  },
};
