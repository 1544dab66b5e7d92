import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pack, unpack } from '../src/codec.ts';
import { ProcbusError } from '../src/errors.ts';
import { checkStructure, clientStructure } from '../src/structure.ts';
import { vectors } from './vectors.ts';

/** What the protocol can carry: no extension types, string keys, 64-bit integers. */
const packable = fc.letrec<{ value: unknown; scalar: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 8, depthSize: 'small' },
    tie('scalar'),
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(fc.string({ minLength: 1 }), tie('value'), { noNullPrototype: true, maxKeys: 6 }),
  ),
  scalar: fc.oneof(
    fc.constantFrom(null, true, false),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'binary', minLength: 250, maxLength: 300 }),
    fc.uint8Array(),
  ),
})).value;

/** How deep a value nests and how many elements it has, counted as the specification does. */
function measure(value: unknown): { depth: number; elements: number } {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) {
    return { depth: 0, elements: 0 };
  }
  const own = Array.isArray(value) ? value.length : 2 * Object.keys(value).length;
  const inner = Object.values(value).map(measure);
  return {
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth)),
    elements: inner.reduce((sum, { elements }) => sum + elements, own),
  };
}

const refusal = (bytes: Buffer, limits = clientStructure): unknown => {
  try {
    checkStructure(bytes, limits);
    return undefined;
  } catch (error) {
    return error;
  }
};

const badFrame = (message: string): unknown =>
  expect.objectContaining({ name: 'ProcbusError', code: 'bad-frame', message });

const nested = (depth: number): Buffer => Buffer.from([...Array<number>(depth - 1).fill(0x91), 0x90]);

describe('checkStructure', () => {
  test.each(vectors)('lets the vector $name pass', ({ frame }) => {
    expect(refusal(frame.subarray(4))).toBeUndefined();
  });

  test('lets every value pass whose depth and elements are within the limits, and no other', () => {
    fc.assert(
      fc.property(packable, (value) => {
        const bytes = pack(value);
        const { depth, elements } = measure(value);
        expect(refusal(bytes, { depth, elements })).toBeUndefined();
        const tighter = [
          { depth: depth - 1, elements },
          { depth, elements: elements - 1 },
        ];
        // A scalar has neither depth nor elements, so no limit is too tight for it.
        for (const limits of depth > 0 ? tighter : []) {
          expect(elements > 0 || limits.elements === elements).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('refuses every value that lacks its last byte, or has one more', () => {
    fc.assert(
      fc.property(packable, (value) => {
        const bytes = pack(value);
        const limits = { depth: 100, elements: 1e6 };
        expect(refusal(bytes.subarray(0, -1), limits)).toEqual(
          badFrame('not a valid message: it ends too early'),
        );
        expect(refusal(Buffer.concat([bytes, Buffer.of(0xc0)]), limits)).toEqual(
          badFrame('not a valid message: bytes behind its end'),
        );
      }),
    );
  });

  test('answers any bytes with yes or bad-frame, and what it lets pass can be unpacked', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        const bytes = Buffer.from(random);
        const error = refusal(bytes);
        if (error === undefined) unpack(bytes);
        else expect(error).toEqual(expect.objectContaining({ name: 'ProcbusError', code: 'bad-frame' }));
      }),
      { numRuns: 5000 },
    );
  });

  test('answers a message with any one byte changed with yes or bad-frame', () => {
    const choice = fc.constantFrom(...vectors.map(({ frame }) => frame.subarray(4)));
    fc.assert(
      fc.property(choice, fc.nat(), fc.integer({ min: 0, max: 255 }), (payload, position, byte) => {
        const bytes = Buffer.from(payload);
        bytes[position % bytes.length] = byte;
        const error = refusal(bytes);
        if (error === undefined) unpack(bytes);
        else expect(error).toEqual(expect.objectContaining({ name: 'ProcbusError', code: 'bad-frame' }));
      }),
      { numRuns: 5000 },
    );
  });

  test('a client may nest eight deep', () => {
    expect(refusal(nested(8))).toBeUndefined();
    expect(refusal(nested(9))).toEqual(badFrame('not a valid message: nested deeper than 8'));
  });

  test('a client may send 4096 elements', () => {
    expect(refusal(pack(Array(4096).fill(0)))).toBeUndefined();
    expect(refusal(pack(Array(4097).fill(0)))).toEqual(
      badFrame('not a valid message: more than 4096 elements'),
    );
  });

  test('a frame full of nesting is refused without recursion', () => {
    const limits = { depth: Infinity, elements: Infinity };
    expect(refusal(Buffer.alloc(1_000_000, 0x91), limits)).toEqual(
      badFrame('not a valid message: it ends too early'),
    );
  });

  test('no bytes at all are no value', () => {
    expect(refusal(Buffer.alloc(0))).toEqual(badFrame('not a valid message: it ends too early'));
  });
});
