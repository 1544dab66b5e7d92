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

const badFrame = (message: string): unknown =>
  expect.objectContaining({ name: 'ProcbusError', code: 'bad-frame', message });

const check =
  (bytes: Buffer, limits = clientStructure) =>
  (): void =>
    checkStructure(bytes, limits);

/** Whether a payload passes; whatever is thrown but `bad-frame` goes on. */
function passes(bytes: Buffer, limits = clientStructure): boolean {
  try {
    checkStructure(bytes, limits);
    return true;
  } catch (error) {
    if (error instanceof ProcbusError && error.code === 'bad-frame') return false;
    throw error;
  }
}

/** What a payload unpacks to, if it passes. Nothing may be thrown. */
const unpackChecked = (bytes: Buffer): unknown => (passes(bytes) ? unpack(bytes) : undefined);

const nested = (depth: number): Buffer => Buffer.from([...Array<number>(depth - 1).fill(0x91), 0x90]);

describe('checkStructure', () => {
  test.each(vectors)('lets the vector $name pass', ({ frame }) => {
    expect(check(frame.subarray(4))).not.toThrow();
  });

  test('lets every value pass whose depth and elements are within the limits, and no other', () => {
    fc.assert(
      fc.property(packable, (value) => {
        const bytes = pack(value);
        const { depth, elements } = measure(value);
        expect(passes(bytes, { depth, elements })).toBe(true);
        // A scalar has no depth, and an empty array no elements: no limit is too tight for them.
        expect(passes(bytes, { depth: depth - 1, elements })).toBe(depth === 0);
        expect(passes(bytes, { depth, elements: Math.max(0, elements - 1) })).toBe(elements === 0);
      }),
      { numRuns: 500 },
    );
  });

  test.each<[string, string, number]>([
    ['positive fixint', '7f', 0],
    ['fixmap', '81a161c0', 0],
    ['fixarray', '93c0c2c3', 0],
    ['fixstr', 'a3', 3],
    ['bin 8', 'c403', 3],
    ['bin 16', 'c50103', 0x103],
    ['bin 32', 'c600010003', 0x10003],
    ['float 32', 'ca', 4],
    ['float 64', 'cb', 8],
    ['uint 8', 'cc', 1],
    ['uint 16', 'cd', 2],
    ['uint 32', 'ce', 4],
    ['uint 64', 'cf', 8],
    ['int 8', 'd0', 1],
    ['int 16', 'd1', 2],
    ['int 32', 'd2', 4],
    ['int 64', 'd3', 8],
    ['str 8', 'd903', 3],
    ['str 16', 'da0103', 0x103],
    ['str 32', 'db00010003', 0x10003],
    ['array 16', 'dc0103', 0x103],
    ['array 32', 'dd00000103', 0x103],
    ['map 16', 'de0001a161c0', 0],
    ['map 32', 'df00000001a161c0', 0],
    ['negative fixint', 'e0', 0],
  ])('knows how long the format %s is', (_name, header, following) => {
    const bytes = Buffer.concat([Buffer.from(header, 'hex'), Buffer.alloc(following)]);
    expect(check(bytes)).not.toThrow();
    expect(check(bytes.subarray(0, -1))).toThrow(badFrame('not a valid message: it ends too early'));
    expect(check(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(
      badFrame('not a valid message: bytes behind its end'),
    );
  });

  test('refuses the reserved byte and every extension format', () => {
    for (const tag of [0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8]) {
      expect(check(Buffer.concat([Buffer.of(tag), Buffer.alloc(17)]))).toThrow(
        badFrame(`not a valid message: the byte 0x${tag.toString(16)} is not used here`),
      );
    }
  });

  test('refuses every value that lacks its last byte, or has one more', () => {
    fc.assert(
      fc.property(packable, (value) => {
        const bytes = pack(value);
        expect(check(bytes.subarray(0, -1))).toThrow(badFrame('not a valid message: it ends too early'));
        expect(check(Buffer.concat([bytes, Buffer.of(0xc0)]))).toThrow(
          badFrame('not a valid message: bytes behind its end'),
        );
      }),
    );
  });

  test('answers any bytes with yes or bad-frame, and what it lets pass can be unpacked', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        expect(() => unpackChecked(Buffer.from(random))).not.toThrow();
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
        expect(() => unpackChecked(bytes)).not.toThrow();
      }),
      { numRuns: 5000 },
    );
  });

  test('a client may nest eight deep', () => {
    expect(check(nested(8))).not.toThrow();
    expect(check(nested(9))).toThrow(badFrame('not a valid message: nested deeper than 8'));
  });

  test('a client may send 4096 elements', () => {
    expect(check(pack(Array(4096).fill(0)))).not.toThrow();
    expect(check(pack(Array(4097).fill(0)))).toThrow(
      badFrame('not a valid message: more than 4096 elements'),
    );
  });

  test('a frame full of nesting is refused without recursion', () => {
    const limits = { depth: Infinity, elements: Infinity };
    expect(check(Buffer.alloc(1_000_000, 0x91), limits)).toThrow(
      badFrame('not a valid message: it ends too early'),
    );
  });

  test('no bytes at all are no value', () => {
    expect(check(Buffer.alloc(0))).toThrow(badFrame('not a valid message: it ends too early'));
  });
});
