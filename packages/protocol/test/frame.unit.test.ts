import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameDecoder, frameHeader, maxClientPayload, maxHelperPayload } from '../src/frame.ts';
import { vectors } from './vectors.ts';

const frame = (payload: Uint8Array): Buffer => Buffer.concat([frameHeader(payload.length), payload]);

/** Pushes every piece; views of payloads are kept as they are, so that reused memory would show. */
function decode(pieces: readonly Buffer[], limit: number = maxHelperPayload): Buffer[] {
  const decoder = new FrameDecoder(limit);
  return pieces.flatMap((piece) => [...decoder.push(piece)]);
}

/** A stream in pieces of the given sizes, the rest in one. */
function split(stream: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    // A copy: as from a socket, every piece has memory of its own.
    pieces.push(Buffer.from(stream.subarray(at, at + size)));
    at += size;
  }
  return [...pieces, Buffer.from(stream.subarray(at))];
}

describe('FrameDecoder', () => {
  test.each(vectors)('the vector $name arrives whole, split at any byte', ({ frame: bytes }) => {
    for (let at = 0; at <= bytes.length; at++) {
      expect(decode([bytes.subarray(0, at), bytes.subarray(at)])).toEqual([bytes.subarray(4)]);
    }
  });

  test.each(vectors)('the vector $name arrives whole, byte by byte', ({ frame: bytes }) => {
    expect(decode([...bytes].map((byte) => Buffer.of(byte)))).toEqual([bytes.subarray(4)]);
  });

  test('all vectors in one piece come out one by one', () => {
    const stream = Buffer.concat(vectors.map((vector) => vector.frame));
    expect(decode([stream])).toEqual(vectors.map((vector) => vector.frame.subarray(4)));
  });

  test('any payloads in any pieces come out as they went in', () => {
    const payloads = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 12 });
    const sizes = fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 40 });
    fc.assert(
      fc.property(payloads, sizes, (sent, cuts) => {
        const arrived = decode(split(Buffer.concat(sent.map(frame)), cuts));
        expect(arrived).toEqual(sent.map((payload) => Buffer.from(payload)));
      }),
      { numRuns: 1000 },
    );
  });

  test('what is held is never longer than the limit and a header', () => {
    const limit = 50;
    const payloads = fc.array(fc.uint8Array({ minLength: 1, maxLength: limit }), { maxLength: 12 });
    const sizes = fc.array(fc.integer({ min: 0, max: 120 }), { maxLength: 40 });
    fc.assert(
      fc.property(payloads, sizes, (sent, cuts) => {
        const decoder = new FrameDecoder(limit);
        for (const piece of split(Buffer.concat(sent.map(frame)), cuts)) {
          Array.from(decoder.push(piece));
          expect(decoder.pending).toBeLessThanOrEqual(limit + 4);
        }
        expect(decoder.pending).toBe(0);
      }),
      { numRuns: 1000 },
    );
  });

  test('a payload that is too long is refused as soon as its length is known', () => {
    const decoder = new FrameDecoder(100);
    const header = frameHeader(101);
    expect([...decoder.push(header.subarray(0, 3))]).toEqual([]);
    expect(() => [...decoder.push(header.subarray(3))]).toThrow(
      expect.objectContaining({
        code: 'frame-too-large',
        message: 'a frame of 101 bytes; at most 100 are accepted',
      }),
    );
  });

  test.each([1, 100, maxClientPayload])('a payload as long as a limit of %i bytes passes', (limit) => {
    const payload = Buffer.alloc(limit, 7);
    expect(decode([frame(payload)], limit)).toEqual([payload]);
  });

  test('an empty payload is refused', () => {
    expect(() => decode([frameHeader(0)])).toThrow(expect.objectContaining({ code: 'bad-frame' }));
  });

  test('the frames before a bad one are yielded', () => {
    const decoder = new FrameDecoder(100);
    const good = Buffer.from('good');
    const payloads = decoder.push(Buffer.concat([frame(good), frame(good), frameHeader(0)]));
    expect(payloads.next().value).toEqual(good);
    expect(payloads.next().value).toEqual(good);
    expect(() => payloads.next()).toThrow(expect.objectContaining({ code: 'bad-frame' }));
  });

  test('an empty piece changes nothing', () => {
    expect(decode([Buffer.alloc(0), Buffer.from('000000', 'hex'), Buffer.alloc(0)])).toEqual([]);
  });
});

test('a header is four bytes, big-endian', () => {
  expect(frameHeader(0x01020304)).toEqual(Buffer.of(1, 2, 3, 4));
});
