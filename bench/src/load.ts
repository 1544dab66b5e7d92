/*
 * The load: bench/programs/load.c, run to its end.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { EventType } from '@procbus/client';
import { compiledProgram } from './programs.ts';

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
 * @param rare - whether one in a hundred has this name
 */
export async function runLoad(kind: LoadKind, count: number, rare = false): Promise<LoadRun> {
  return run(
    count,
    kind,
    String(count),
    ...(kind === 'execs' ? ['/bin/true'] : []),
    ...(rare ? ['rare'] : []),
  );
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
