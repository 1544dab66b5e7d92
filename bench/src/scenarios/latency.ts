/*
 * How long it takes from the kernel's time stamp until a program has the event.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { Bus, referenceProgram } from '../listeners.ts';
import { runLoad, runPaced } from '../load.ts';
import { rounds, spread } from '../rounds.ts';
import { median, type Report, type Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

/** Some shares of all delays, in µs. */
interface Delays {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

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

async function run(progress: (text: string) => void): Promise<Report> {
  const cases = {
    'quiet, reference': async () => ofReference(quiet),
    'quiet, procbus': async () => ofProcbus(quiet, quietBefore),
    'storm, reference': async () => ofReference(storm),
    'storm, procbus': async () => ofProcbus(storm),
  };
  const figures: Record<string, Delays[]> = {};
  for (let round = 1; round <= rounds; round++) {
    progress(`round ${round} of ${rounds}`);
    for (const [name, measure] of Object.entries(cases)) (figures[name] ??= []).push(await measure());
  }
  const all = (name: keyof typeof cases, share: keyof Delays): number[] =>
    (figures[name] ?? []).map((delays) => delays[share]);
  const of = (name: keyof typeof cases, share: keyof Delays): number => median(all(name, share));
  const names = Object.keys(cases) as (keyof typeof cases)[];
  return {
    columns: ['µs from the kernel to the program', 'p50', 'p99', 'max'],
    rows: names.map((name) => {
      const shares = (['p50', 'p99', 'max'] as const).map((share) => spread(all(name, share), 0));
      return [name as string].concat(shares);
    }),
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
