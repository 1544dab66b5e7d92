/*
 * Other programs, asked for facts that Node does not have.
 */
import { execFile } from 'node:child_process';

/** How long one may take, in ms: a user database can be on another machine. */
const deadline = 5000;

/** What a program prints; undefined where it is not there, fails, or takes too long. */
export async function output(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const env = { ...process.env, LC_ALL: 'C' };
  const printed = await new Promise<string | undefined>((resolve) => {
    execFile(program, args, { env, signal, timeout: deadline }, (error, stdout) =>
      resolve(error === null ? stdout : undefined),
    );
  });
  signal.throwIfAborted();
  return printed;
}
