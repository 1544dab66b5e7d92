/*
 * Errors as they travel.
 */
import { wireInteger } from './codec.ts';
import { count, map, text } from './elements.ts';

/** An error as it travels. The code is any string: a later version may have new ones. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly remedy?: string | undefined;
  /** With `gone`: the oldest cursor that is still held. */
  readonly oldest?: string | undefined;
  /** With `gone`: how many events there were before that, since the cursor that was asked for. */
  readonly missing?: number | undefined;
}

/**
 * Reads an error from the elements of a message that are about it.
 *
 * @throws ProcbusError `bad-message`
 */
export function parseWireError([code, message, remedy, details]: unknown[]): WireError {
  const { oldest, missing } = map(details ?? {}, 'details');
  return {
    code: text(code, 'code'),
    message: text(message, 'message'),
    remedy: remedy === undefined || remedy === null ? undefined : text(remedy, 'remedy'),
    oldest: oldest === undefined ? undefined : text(oldest, 'oldest'),
    missing: missing === undefined ? undefined : count(missing, 'missing'),
  };
}

/** Lays an error out as elements of a message. */
export function wireErrorElements({ code, message, remedy, oldest, missing }: WireError): unknown[] {
  if (oldest !== undefined) {
    const details = missing === undefined ? { oldest } : { oldest, missing: wireInteger(missing) };
    return [code, message, remedy ?? null, details];
  }
  return remedy === undefined ? [code, message] : [code, message, remedy];
}
