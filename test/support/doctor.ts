/*
 * procbus doctor, asked for what a program would want to know.
 */
import type { Check } from '../../packages/client/src/cli/doctor/check.ts';
import { procbus } from './procbus.ts';
import { run } from './program.ts';

export interface Diagnosis {
  readonly verdict: string;
  readonly version: string;
  readonly socket: string;
  readonly checks: readonly Check[];
}

/** What it found, and how it ended. */
export interface Examined extends Diagnosis {
  readonly exitStatus: number | string;
  readonly stderr: string;
  /** A check by its name. */
  of(name: string): Check | undefined;
  /** The names of the checks that came out so. */
  named(status: Check['status']): string[];
}

/** The command, for some arguments. */
export const doctor = (...args: readonly string[]): string[] => [
  process.execPath,
  procbus,
  'doctor',
  '--json',
  ...args,
];

/** Runs it, by a command such as {@link doctor}. */
export async function examined(
  [program = '', ...args]: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Examined> {
  const done = await run(program, args, { env });
  const diagnosis = JSON.parse(done.stdout) as Diagnosis;
  return {
    ...diagnosis,
    exitStatus: await done.ended,
    stderr: done.stderr,
    of: (name) => diagnosis.checks.find((check) => check.name === name),
    named: (status) => diagnosis.checks.filter((check) => check.status === status).map(({ name }) => name),
  };
}
