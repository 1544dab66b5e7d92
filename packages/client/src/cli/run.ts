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

/** What a command has to work with. */
export interface Run {
  readonly bus: Bus;
  /** In words, what is at the other end. */
  readonly helper: string;
  readonly output: LineWriter;
  /** Aborted when the command is to end; what throws its reason ends it as asked. */
  readonly signal: AbortSignal;
  /** Ends the command: with an exit status, or an error to report. */
  readonly stop: (reason: number | ProcbusError) => void;
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
    const { bus, helper } = await openBus(socket, signal, onConnection);
    try {
      await work({ bus, helper, output, signal, stop });
    } finally {
      await output.finish();
      await bus.close();
    }
    signal.throwIfAborted();
    return 0;
  } catch (error) {
    // An aborted signal throws its reason.
    if (typeof error === 'number') return error;
    throw error;
  }
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
