/*
 * How long it takes from the kernel's time stamp until a program has the event.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { Bus, referenceProgram } from '../listeners.ts';
import { runLoad, runPaced } from '../load.ts';
import { alternate, spread, type Measured } from '../rounds.ts';
import { median, type Report, type Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

/** What is told of all delays: half of them, and 99 in a hundred, are no longer. */
const shares = ['p50', 'p99', 'max'] as const;

/** In µs. */
type Delays = Readonly<Record<(typeof shares)[number], number>>;

/** Two events each: so these are 200 events a second. */
const quiet = async (): Promise<unknown> => runPaced(sized(300, 50), 100);
const quietBefore = async (): Promise<unknown> => runPaced(sized(500, 50), 100);
const storm = async (): Promise<unknown> => runLoad('forks', sized(15_000, 500));

async function ofReference(load: () => Promise<unknown>): Promise<Delays> {
  const listening = promisify(execFile)(referenceProgram(), ['timed'], { maxBuffer: 2 ** 28 });
  await delay(100);
  await load();
  const { stdout } = await listening;
  return delaysOf(stdout.split('\n').slice(0, -1).map(Number));
}

/** @param first - what the helper does before, so that V8 has compiled what the load needs */
async function ofProcbus(load: () => Promise<unknown>, first?: () => Promise<unknown>): Promise<Delays> {
  const bus = await Bus.start();
  try {
    await bus.subscribe(1, {}, { isTimed: true });
    await runLoad('forks', sized(36_000, 200));
    await bus.accounts();
    // Until the helper is at ease again: how it comes to rest is not what is measured.
    await delay(1000);
    if (first !== undefined) {
      await first();
      await bus.accounts();
    }
    await load();
    const [account] = await bus.accounts();
    return delaysOf(account?.late ?? []);
  } finally {
    await bus.stop();
  }
}

/** @param late - in ns */
function delaysOf(late: readonly number[]): Delays {
  const sorted = late.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN) / 1000;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

const cases = {
  'quiet, reference': async () => ofReference(quiet),
  'quiet, procbus': async () => ofProcbus(quiet, quietBefore),
  'storm, reference': async () => ofReference(storm),
  'storm, procbus': async () => ofProcbus(storm),
};
type Case = keyof typeof cases;

/** The figures of one measurement. */
function named(name: string, delays: Delays): Measured {
  return Object.fromEntries(shares.map((share) => [`${name}, ${share}`, delays[share]]));
}

async function run(progress: (text: string) => void): Promise<Report> {
  const figures = await alternate(
    Object.entries(cases).map(
      ([name, measure]) =>
        async () =>
          named(name, await measure()),
    ),
    progress,
  );
  const all = (name: Case, share: keyof Delays): number[] => figures[`${name}, ${share}`] ?? [];
  const of = (name: Case, share: keyof Delays): number => median(all(name, share));
  const row = (name: Case): string[] => [name, ...shares.map((share) => spread(all(name, share), 0))];
  return {
    columns: ['µs from the kernel to the program', 'p50', 'p99', 'max'],
    rows: (Object.keys(cases) as Case[]).map(row),
    targets: [
      {
        what: 'quiet, p50: at most 1.5 × the reference and 100 µs',
        met: of('quiet, procbus', 'p50') <= 1.5 * of('quiet, reference', 'p50') + 100,
      },
      { what: 'quiet, p99: at most 2 ms', met: of('quiet, procbus', 'p99') <= 2000 },
      { what: 'storm, p99: at most 50 ms', met: of('storm, procbus', 'p99') <= 50_000 },
    ],
    figures,
  };
}

/** The scenario `latency`. */
export const latency: Scenario = {
  name: 'latency',
  about:
    'from the kernel’s time stamp to a program, at 200 events a second and in a storm, beside the textbook listener',
  run,
};
