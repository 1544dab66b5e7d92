import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pack, unpack } from '../src/codec.ts';
import { ProcbusError } from '../src/errors.ts';
import {
  longestMaxDelay,
  parseSubscribeOptions,
  subscribeOptionsToWire,
  type SubscribeOptions,
} from '../src/subscribe-options.ts';
import { cursor, subscribeOptions } from './arbitraries.ts';
import { vectorOf } from './vectors.ts';

const refused = expect.objectContaining({ name: 'ProcbusError', code: 'bad-message' }) as Error;

/** What the helper reads of what a client lays out. */
const readByHelper = (options: SubscribeOptions): SubscribeOptions =>
  parseSubscribeOptions(unpack(pack(subscribeOptionsToWire(options) ?? null)));

describe('options of a subscription', () => {
  test('are read as they were laid out', () => {
    fc.assert(
      fc.property(subscribeOptions, (options) => {
        expect(readByHelper(options)).toEqual(options);
      }),
      { numRuns: 1000 },
    );
  });

  test('that are undefined are not laid out, and where all are there is nothing to lay out', () => {
    const none = { since: undefined, sinceTime: undefined, maxDelay: undefined, onLag: undefined };
    expect(subscribeOptionsToWire({})).toBeUndefined();
    expect(subscribeOptionsToWire(none)).toBeUndefined();
    expect(subscribeOptionsToWire({ ...none, maxDelay: 0 })).toEqual({ maxDelay: 0 });
  });

  test.each([undefined, null, {}])('are none where %j is given', (value) => {
    expect(parseSubscribeOptions(value)).toEqual({});
  });

  test.each<[string, SubscribeOptions]>([
    ['subscribe-since', { since: { epoch: '8f3a61c20b9d47e5', seq: 4712 }, onLag: 'disconnect' }],
    ['subscribe-since-time', { sinceTime: 2364687192613n, maxDelay: 1000 }],
    ['subscribe-options-from-later', { maxDelay: 0 }],
  ])('are read from the vector %s', (name, options) => {
    expect(parseSubscribeOptions(vectorOf(name).value[3])).toEqual(options);
  });

  test('that are not known are ignored', () => {
    fc.assert(
      fc.property(subscribeOptions, fc.string(), fc.anything(), (options, key, value) => {
        fc.pre(!['since', 'sinceTime', 'maxDelay', 'onLag', '__proto__'].includes(key));
        const wire = { [key]: value, ...subscribeOptionsToWire(options) };
        expect(parseSubscribeOptions(wire)).toEqual(options);
      }),
    );
  });

  test('may give a time as an integer of any width', () => {
    for (const sinceTime of [0, -1, 2 ** 40, 7n]) {
      expect(parseSubscribeOptions({ sinceTime })).toEqual({ sinceTime: BigInt(sinceTime) });
    }
  });

  test.each([0, 0.5, longestMaxDelay])('may hold events back for %d ms', (maxDelay) => {
    expect(parseSubscribeOptions({ maxDelay })).toEqual({ maxDelay });
  });

  test.each<[string, unknown]>([
    ['a list', []],
    ['a text', 'since'],
    ['a number', 1],
    ['true', true],
    ['bytes', Buffer.alloc(0)],
    ['since that is nil', { since: null }],
    ['since that is a number', { since: 4711 }],
    ['since that is a map', { since: { epoch: 'a', seq: 1 } }],
    ['since that is no cursor', { since: 'yesterday' }],
    ['since and sinceTime', { since: 'a:1', sinceTime: 1 }],
    ['sinceTime that is nil', { sinceTime: null }],
    ['sinceTime that is a float', { sinceTime: 1.5 }],
    ['sinceTime that is too large to be exact', { sinceTime: 2 ** 60 }],
    ['sinceTime that is a text', { sinceTime: '1' }],
    ['maxDelay that is nil', { maxDelay: null }],
    ['maxDelay that is a text', { maxDelay: '20' }],
    ['maxDelay below 0', { maxDelay: -0.001 }],
    ['maxDelay above its limit', { maxDelay: longestMaxDelay + 0.001 }],
    ['maxDelay that is NaN', { maxDelay: Number.NaN }],
    ['maxDelay that is infinite', { maxDelay: Number.POSITIVE_INFINITY }],
    ['maxDelay beyond 2^53', { maxDelay: 2n ** 60n }],
    ['onLag that is nil', { onLag: null }],
    ['onLag that is true', { onLag: true }],
    ['onLag that is not known', { onLag: 'wait' }],
    ['onLag named like a member of every list', { onLag: 'length' }],
  ])('that are malformed are refused: %s', (_name, value) => {
    expect(() => parseSubscribeOptions(value)).toThrow(refused);
  });

  test('of any kind end in options or in bad-message', () => {
    const anything = fc.oneof(
      fc.anything(),
      cursor.map(({ epoch, seq }) => `${epoch}:${seq}`),
    );
    const value = fc.record(
      { since: anything, sinceTime: anything, maxDelay: anything, onLag: anything },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(value, fc.anything()), (options) => {
        try {
          parseSubscribeOptions(options);
        } catch (error) {
          expect(error).toBeInstanceOf(ProcbusError);
          expect(error).toMatchObject({ code: 'bad-message' });
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('that are refused are not said to be an event', () => {
    expect(() => parseSubscribeOptions({ sinceTime: 1.5 })).toThrow(/^a message is malformed: /);
  });
});
