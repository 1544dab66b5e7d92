import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pack, packFrame, packFrameHead, unpack } from '../src/codec.ts';
import { ProcbusError } from '../src/errors.ts';
import { vectors } from './vectors.ts';

/** Integers as bigints throughout: how wide one travelled is no matter of its value. */
function withBigInts(value: unknown): unknown {
  if (Number.isInteger(value)) return BigInt(value as number);
  if (Array.isArray(value)) return value.map(withBigInts);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withBigInts(inner)]));
}

const inInt64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n });

describe('the codec', () => {
  test.each(vectors)('unpacks the vector $name to its value', ({ frame, value }) => {
    expect(withBigInts(unpack(frame.subarray(4)))).toEqual(withBigInts(value));
  });

  test.each(vectors.filter(({ name }) => name !== 'events-large-numbers'))(
    'packs the vector $name to its bytes',
    ({ frame, value }) => {
      expect(packFrame(value).toString('hex')).toBe(frame.toString('hex'));
    },
  );

  test('carries every 64-bit integer exactly', () => {
    fc.assert(
      fc.property(inInt64, (integer) => {
        expect(BigInt(unpack(pack(integer)) as bigint | number)).toBe(integer);
      }),
      { numRuns: 2000 },
    );
  });

  test('gives a number where it is exact and a bigint where it is not', () => {
    expect(unpack(pack(2n ** 53n - 1n))).toBe(2 ** 53 - 1);
    expect(unpack(pack(2n ** 53n + 1n))).toBe(2n ** 53n + 1n);
  });

  test('carries every string', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(unpack(pack(text))).toBe(text);
      }),
    );
  });

  test('a key named like a member of every object does no harm', () => {
    const bytes = Buffer.concat([
      Buffer.of(0x81, 0xa9),
      Buffer.from('__proto__'),
      Buffer.of(0x81, 0xa1, 0x78, 1),
    ]);
    expect((unpack(bytes) as { x?: number }).x).toBeUndefined();
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  test('what cannot be unpacked is a bad frame', () => {
    expect(() => unpack(Buffer.of(0x92, 0x01))).toThrow(expect.objectContaining({ code: 'bad-frame' }));
    expect(() => unpack(Buffer.of(0x92, 0x01))).toThrow(ProcbusError);
  });

  test('packed values keep their bytes while others are packed', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 2 }), (texts) => {
        const packed = texts.map((text) => pack(text));
        expect(packed.map((bytes) => unpack(bytes))).toEqual(texts);
      }),
    );
  });
});

describe('packFrameHead', () => {
  test('a head and its tail are the frame of the whole', () => {
    const element = fc.oneof(fc.string(), fc.integer(), inInt64, fc.boolean(), fc.constant(null));
    const tail = fc.array(fc.array(element), { maxLength: 40 });
    fc.assert(
      fc.property(fc.array(element, { maxLength: 14 }), tail, (head, last) => {
        const packed = pack(last);
        const whole = Buffer.concat([packFrameHead(head, packed.length), packed]);
        expect(whole.toString('hex')).toBe(packFrame([...head, last]).toString('hex'));
      }),
    );
  });

  test('a head that would need a longer array header is refused', () => {
    expect(() => packFrameHead(Array(15).fill(0), 1)).toThrow(RangeError);
  });
});
