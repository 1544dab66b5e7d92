/*
 * How much slower a machine forks while many look on: with procbus, and with a socket to the kernel for each.
 */
import type { WatchOptions } from '@procbus/client';
import { lostOf } from '../exact.ts';
import { Bus, Direct } from '../listeners.ts';
import { runLoad, type LoadKind } from '../load.ts';
import { inRounds, ratio, spread, type Figures } from '../rounds.ts';
import type { Report, Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

const loads: readonly [kind: LoadKind, count: number][] = [
  ['forks', sized(4000, 300)],
  ['threads', sized(14_000, 1000)],
];
const warmUps: typeof loads = [
  ['forks', sized(7000, 200)],
  ['threads', sized(30_000, 200)],
];
const sizes = [1, sized(8, 2), sized(32, 4)];
const most = Math.max(...sizes);
const everything: WatchOptions = { threads: true };
const rareOnly: WatchOptions = { threads: true, comm: ['rare'] };
/** One in so many of what the load makes is for those. */
const oneInRare = sized(100, 10);

/**
 * What many who subscribe see first, all of it. A program that has just begun is still being compiled, again when
 * another kind of event comes, and some seconds later V8 gives back what it took to begin: a third of what they take,
 * until that is over.
 *
 * @param rare - whether only what is rare is told: so then all is
 */
async function warmUpAll(bus: Bus, size: number, rare = false): Promise<void> {
  const share = size === most ? 1 : 0.25;
  for (let round = 0; round < 2; round++) {
    for (const [kind, count] of warmUps) {
      await runLoad(kind, share * count, rare ? 1 : 0);
      await bus.accounts();
    }
  }
}

/** Rates of all loads, by the name of who looks on. */
class Rates {
  readonly figures: Figures = {};

  /** Measures all loads; `after` is told when each is over. */
  async measure(
    name: string,
    {
      rare = false,
      after,
    }: { rare?: boolean; after?: (kind: LoadKind, count: number) => Promise<void> } = {},
  ): Promise<void> {
    for (const [kind, count] of loads) {
      const { rate } = await runLoad(kind, count, rare ? oneInRare : 0);
      await after?.(kind, count);
      (this.figures[`${kind}, ${name}`] ??= []).push(rate);
    }
  }

  /** Of the rate that there is while nobody looks on. */
  kept(name: string): number {
    return ratio(this.figures[name], this.figures[`${name.split(',')[0]}, nobody`]);
  }

  report(targets: readonly [name: string, least: number][], lost: number): Report {
    return {
      columns: ['load', 'a second', '÷ nobody'],
      rows: Object.entries(this.figures).map(([name, values]) => [
        name,
        spread(values, 0),
        this.kept(name).toFixed(2),
      ]),
      targets: [
        ...targets.map(([name, least]) => ({
          what: `${name}: at least ${least.toFixed(2)} of the rate without`,
          met: this.kept(name) >= least,
        })),
        { what: `nothing is lost (${lost})`, met: lost === 0 },
      ],
      figures: { ...this.figures, lost },
    };
  }
}

async function runFanout(progress: (text: string) => void): Promise<Report> {
  const rates = new Rates();
  let lost = 0;
  await inRounds(progress, async () => {
    await rates.measure('nobody');
    const bus = await Bus.start();
    try {
      let subscribers = 0;
      for (const size of sizes) {
        await bus.subscribe(size - subscribers, everything);
        subscribers = size;
        await warmUpAll(bus, size);
        await rates.measure(`${size} × procbus`, {
          after: async (kind, count) => {
            lost += lostOf(await bus.accounts(), kind, count);
          },
        });
      }
    } finally {
      await bus.stop();
    }
    // Before and behind: rates change within a minute.
    await rates.measure('nobody');
    for (const size of sizes) {
      const references = Direct.references(size);
      await rates.measure(`${size} × reference`);
      await references.stop();
    }
  });
  const targets: [string, number][] = [
    [`forks, ${most} × procbus`, 0.85],
    [`threads, ${most} × procbus`, 0.8],
  ];
  return rates.report(targets, lost);
}

async function runSelective(progress: (text: string) => void): Promise<Report> {
  const rates = new Rates();
  let lost = 0;
  await inRounds(progress, async () => {
    await rates.measure('nobody', { rare: true });
    const bus = await Bus.start();
    try {
      await bus.subscribe(most, rareOnly);
      await warmUpAll(bus, most, true);
      await rates.measure(`${most} × procbus, 1 % each`, {
        rare: true,
        after: async (kind, count) => {
          // A thread has ended a little after it is joined, when its process has another name again.
          lost += lostOf(await bus.accounts(), kind, count / oneInRare, ['fork']);
        },
      });
    } finally {
      await bus.stop();
    }
    await rates.measure('nobody', { rare: true });
  });
  return rates.report(
    [
      [`forks, ${most} × procbus, 1 % each`, 0.95],
      [`threads, ${most} × procbus, 1 % each`, 0.95],
    ],
    lost,
  );
}

/** The scenario `fanout`. */
export const fanout: Scenario = {
  name: 'fanout',
  about:
    'how fast a machine forks while 1, 8 and 32 subscribers see all of it, and as many listeners of the kernel',
  run: runFanout,
};

/** The scenario `selective`. */
export const selective: Scenario = {
  name: 'selective',
  about: 'how fast a machine forks while 32 subscribers see one event in a hundred',
  run: runSelective,
};
