/*
 * What every command does around its work: a connection, an output, and the ways to end.
 */
import { ProcbusError } from '@procbus/protocol';
import type { Bus } from '../bus.ts';
import type { ConnectOptions } from '../connect.ts';
import type { LineStyle } from './line.ts';
import { LineWriter } from './line-writer.ts';
import { openBus } from './open-bus.ts';
import { signalStatus } from './signals.ts';

/** What every command has to work with. */
export interface Running {
  readonly output: LineWriter;
  /** Aborted when the command is to end; what throws its reason ends it as asked. */
  readonly signal: AbortSignal;
  /** Ends the command: with an exit status, or an error to report. */
  readonly stop: (reason: number | ProcbusError) => void;
}

/** What a command with a connection has to work with. */
export interface Run extends Running {
  readonly bus: Bus;
  /** In words, what is at the other end. */
  readonly helper: string;
}

/** Does the work of a command; returns the exit status, which is that of the work unless it was told to stop. */
export async function runCommand(work: (running: Running) => Promise<number>): Promise<number> {
  const ending = new AbortController();
  const { signal } = ending;
  const stop = (reason: number | ProcbusError): void => ending.abort(reason);
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => stop(signalStatus(name)));
  }
  // Whoever closes the pipe has seen enough.
  const output = new LineWriter(process.stdout, (error) =>
    stop(error.code === 'EPIPE' ? 0 : outputError(error)),
  );
  try {
    const status = await work({ output, signal, stop });
    await output.finish();
    signal.throwIfAborted();
    return status;
  } catch (error) {
    // An aborted signal throws its reason.
    if (typeof error === 'number') return error;
    throw error;
  }
}

/**
 * Does the work of a command with a connection; returns the exit status.
 *
 * @param onConnection - for a command that goes on when the helper has gone and is back: told of it
 */
export async function runWithBus(
  socket: string | undefined,
  work: (run: Run) => Promise<void>,
  onConnection?: ConnectOptions['onConnection'],
): Promise<number> {
  return runCommand(async (running) => {
    const { bus, helper } = await openBus(socket, running.signal, onConnection);
    try {
      await work({ ...running, bus, helper });
    } finally {
      await running.output.finish();
      await bus.close();
    }
    return 0;
  });
}

/** How lines on stdout should look, as of now: colours and an end only on a terminal. */
export function outputStyle(): LineStyle {
  const { isTTY, columns } = process.stdout;
  if (!isTTY) return { colour: false };
  // A terminal that does not know its width says 0.
  return { colour: process.stdout.hasColors(), width: columns > 0 ? columns : undefined };
}

function outputError(cause: NodeJS.ErrnoException): ProcbusError {
  return new ProcbusError('output', `cannot write: ${cause.message}`, { cause });
}
