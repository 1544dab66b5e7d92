/*
 * The vectors of the specification, as the tests use them.
 */
import { readFileSync } from 'node:fs';

/** A frame and the message in it. */
export interface Vector {
  readonly name: string;
  readonly from: 'client' | 'helper';
  readonly frame: Buffer;
  readonly value: readonly unknown[];
}

/** A frame that is refused, and the code of the error. */
export interface InvalidVector {
  readonly name: string;
  readonly frame: Buffer;
  readonly error: string;
}

/** Every vector of `messages.json` and `events.json`. */
export const vectors: readonly Vector[] = [...load('messages'), ...load('events')].map(
  ({ name, from, hex, value }) => ({ name, from, value, frame: Buffer.from(hex, 'hex') }),
);

/** Every vector of `invalid.json`. */
export const invalidVectors: readonly InvalidVector[] = load('invalid').map(({ name, hex, error }) => ({
  name,
  error,
  frame: Buffer.from(hex, 'hex'),
}));

/** The vector of that name. */
export function vectorOf(name: string): Vector {
  const found = vectors.find((vector) => vector.name === name);
  if (found === undefined) throw new Error(`no vector ${name}`);
  return found;
}

function load(file: string): (Vector & InvalidVector & { hex: string })[] {
  const text = readFileSync(new URL(`../vectors/${file}.json`, import.meta.url), 'utf8');
  const parsed = JSON.parse(text, (_key, value: unknown) =>
    typeof value === 'string' && /^-?\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as { vectors: (Vector & InvalidVector & { hex: string })[] };
  return parsed.vectors;
}
