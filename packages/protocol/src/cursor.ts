/*
 * A cursor: a place in the stream of events of one run of a helper, written `epoch:seq`.
 */
import { ProcbusError } from './errors.ts';

/** A place in the stream: behind the event of that number, before the next. */
export interface Cursor {
  /** Names a run of the helper; places of different epochs do not compare. */
  readonly epoch: string;
  readonly seq: number;
}

/** The text of a cursor, to be stored and shown. */
export function formatCursor({ epoch, seq }: Cursor): string {
  return `${epoch}:${seq}`;
}

/**
 * Reads the text of a cursor.
 *
 * @throws ProcbusError `bad-message`
 */
export function parseCursor(text: string): Cursor {
  const [, epoch, digits] = /^([0-9a-z]{1,64}):(0|[1-9][0-9]{0,15})$/.exec(text) ?? [];
  const seq = Number(digits);
  if (epoch !== undefined && Number.isSafeInteger(seq)) return { epoch, seq };
  throw new ProcbusError('bad-message', `${JSON.stringify(text.slice(0, 100))} is no cursor`, {
    remedy: 'A cursor is an epoch and a sequence number, as in 0123456789abcdef:4711.',
  });
}
