/*
 * Values to bytes and back. The one file that knows msgpackr.
 *
 * `msgpackr/pack` is its plain JavaScript, reader and writer; the package's main entry would load a
 * native string decoder into the privileged helper. Only the main entry's types can be resolved.
 */
import type * as msgpackr from 'msgpackr';
import * as plain from 'msgpackr/pack';
import { ProcbusError } from './errors.ts';
import { frameHeader } from './frame.ts';

const { Packr, Unpackr } = plain as unknown as typeof msgpackr;
const packr = new Packr({ useRecords: false, variableMapSize: true });
// 'auto' gives a bigint where a number would not be exact; the package's types do not know it yet.
const int64AsType = 'auto' as 'bigint';
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType });

/** Packs a value: integers beyond 2^53 as `bigint`, no `undefined` inside. */
export function pack(value: unknown): Buffer {
  return packr.pack(value);
}

/** A count or a number as it has to be packed: msgpackr would make a float of one above 2^32. */
export function wireInteger(value: number): number | bigint {
  return value > 0xffffffff ? BigInt(value) : value;
}

/**
 * Unpacks one value; a 64-bit integer that is not exact as a number becomes a `bigint`.
 *
 * @throws ProcbusError `bad-frame`
 */
export function unpack(payload: Buffer): unknown {
  try {
    return unpackr.unpack(payload);
  } catch (cause) {
    throw new ProcbusError('bad-frame', `not a valid message: ${(cause as Error).message}`, { cause });
  }
}

/** Tells whether an unpacked value is a map. */
export function isMap(value: unknown): value is Record<string, unknown> {
  // Bytes are objects too.
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}

/** One whole frame, length prefix and payload. */
export function packFrame(message: readonly unknown[]): Buffer {
  const payload = pack(message);
  return Buffer.concat([frameHeader(payload.length), payload]);
}

/**
 * The beginning of a frame whose message is `head` with one more element, already packed and
 * `tailBytes` long. Writing this and then the tail lets many receivers share the tail's bytes.
 */
export function packFrameHead(head: readonly unknown[], tailBytes: number): Buffer {
  if (head.length > 14) throw new RangeError('a head of at most 14 elements');
  const elements = head.map((element) => pack(element));
  const payloadBytes = elements.reduce((sum, element) => sum + element.length, 1 + tailBytes);
  return Buffer.concat([frameHeader(payloadBytes), Buffer.of(0x90 | (head.length + 1)), ...elements]);
}
