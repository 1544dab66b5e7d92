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
/** Threads that are made at a time. */
const count = sized(100_000, 5000);

/** The scenario `loss`. */
export const loss: Scenario = {
  name: 'loss',
  about: `what is lost in ${seconds} s of the fastest load there is, threads, with ${subscribers} subscribers to all of it`,
  run: async (progress) => {
    const bus = await Bus.start();
    try {
      await bus.subscribe(subscribers, { threads: true });
      let [events, passed, toSubscribers] = [0, 0, 0];
      while (passed < seconds) {
        const run = await runLoad('threads', count);
        toSubscribers += lostOf(await bus.accounts(), 'threads', count);
        events += made.threads.length * count;
        passed += run.seconds;
        progress(`${Math.round(run.rate).toLocaleString('en-US')} threads a second`);
      }
      const anywhere = await bus.lost();
      return {
        columns: ['', 'of all', 'a second'],
        rows: [
          ['seconds', passed.toFixed(0), ''],
          ['events', events.toLocaleString('en-US'), Math.round(events / passed).toLocaleString('en-US')],
          ['lost', String(anywhere), ''],
          ['told to be lost, by all subscribers', String(toSubscribers), ''],
        ],
        targets: [{ what: 'nothing is lost', met: anywhere === 0 && toSubscribers === 0 }],
        figures: { events, seconds: passed, lost: anywhere, toSubscribers },
      };
    } finally {
      await bus.stop();
    }
  },
};
