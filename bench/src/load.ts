/*
 * The load: bench/programs/load.c, run to its end.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { EventType } from '@procbus/client';
import { compiledProgram } from './programs.ts';
import { sized } from './size.ts';

/** What a load does over and over. */
export type LoadKind = 'forks' | 'execs' | 'threads';

/** The events that a load makes each time. */
export const made: Readonly<Record<LoadKind, readonly EventType[]>> = {
  forks: ['fork', 'exit'],
  execs: ['fork', 'exec', 'exit'],
  threads: ['fork', 'exit'],
};

/** How fast a load was. */
export interface LoadRun {
  readonly seconds: number;
  /** So many a second. */
  readonly rate: number;
}

/** Path of the load program. */
export function loadProgram(): string {
  return compiledProgram('bench/programs/load.c');
}

/**
 * Runs a load: `count` forks, execs of /bin/true, or threads, one after the other, as fast as it goes.
 *
 * @param oneInRare - one in so many is called "rare"; with 0, none
 */
export async function runLoad(kind: LoadKind, count: number, oneInRare = 0): Promise<LoadRun> {
  return run(
    count,
    kind,
    String(count),
    ...(kind === 'execs' ? ['/bin/true'] : []),
    ...(oneInRare > 0 ? ['rare', String(oneInRare)] : []),
  );
}

/**
 * Runs loads for as long as V8 needs to compile what they ask of a program: a helper runs for months, so how it
 * begins is not what is measured.
 *
 * @param done - waits until all have done with one of them
 */
export async function warmUp(done: () => Promise<unknown>): Promise<void> {
  await runLoad('forks', sized(30_000, 500));
  await done();
  await runLoad('execs', sized(4000, 100));
  await done();
}

/** Runs forks at a rate, in a second. */
export async function runPaced(count: number, rate: number): Promise<LoadRun> {
  return run(count, 'paced', String(count), String(rate));
}

async function run(count: number, ...args: string[]): Promise<LoadRun> {
  const { stdout } = await promisify(execFile)(loadProgram(), args);
  const seconds = Number(stdout) / 1e9;
  return { seconds, rate: count / seconds };
}

/** Microseconds of CPU time that each event of a load took. */
export function perEvent(seconds: number, kind: LoadKind, count: number): number {
  return (seconds * 1e6) / (count * made[kind].length);
}
