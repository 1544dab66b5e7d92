import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pack, unpack } from '../src/codec.ts';
import { isErrorCode, ProcbusError } from '../src/errors.ts';
import { parseFilter } from '../src/filter.ts';
import { FrameDecoder, maxClientPayload } from '../src/frame.ts';
import { clientMessage, parseClientMessage, requestOf, type ClientMessage } from '../src/message.ts';
import { checkStructure, clientStructure } from '../src/structure.ts';
import type { VersionRange } from '../src/version.ts';
import { subscribeOptions } from './arbitraries.ts';
import { invalidVectors, vectors } from './vectors.ts';

const withCode = (code: string): unknown => expect.objectContaining({ name: 'ProcbusError', code });

/** What the helper does with the bytes of a client. */
const readClientFrame = (bytes: Buffer): ClientMessage[] =>
  [...new FrameDecoder(maxClientPayload).push(bytes)].map((payload) => {
    checkStructure(payload, clientStructure);
    const message = parseClientMessage(unpack(payload));
    if (message.type === 'subscribe' || message.type === 'snapshot') parseFilter(message.filter);
    return message;
  });

/** The code that a message is refused with; whatever is thrown but a ProcbusError goes on. */
function refusalOf(message: unknown): string | undefined {
  try {
    parseClientMessage(message);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof ProcbusError) return thrown.code;
    throw thrown;
  }
}

const readByHelper = (message: unknown[]): ClientMessage => parseClientMessage(unpack(pack(message)));

const id = fc.integer({ min: 1, max: 0xffffffff });
const text = fc.string({ unit: 'binary', maxLength: 40 });
const range = fc.tuple(id, id).map(([a, b]): VersionRange => [Math.min(a, b), Math.max(a, b)]);

describe('a message of a client', () => {
  test.each(vectors.filter(({ from }) => from === 'client'))('is read from the vector $name', (vector) => {
    expect(readClientFrame(vector.frame)).toEqual([expect.objectContaining({ type: vector.value[0] })]);
  });

  test('is read as it was laid out', () => {
    fc.assert(
      fc.property(id, id, range, text, fc.boolean(), (request, subscription, versions, software, ended) => {
        const hello = { versions, software };
        const filter = { comm: [software] };
        const { hello: greet, subscribe, unsubscribe, snapshot, ping, stats, goodbye } = clientMessage;
        expect(readByHelper(greet(hello))).toEqual({ type: 'hello', hello });
        expect(readByHelper(subscribe(request, filter))).toEqual({
          type: 'subscribe',
          request,
          filter,
          options: {},
        });
        expect(readByHelper(unsubscribe(request, subscription))).toEqual({
          type: 'unsubscribe',
          request,
          subscription,
        });
        expect(readByHelper(snapshot(request, filter, ended))).toEqual({
          type: 'snapshot',
          request,
          filter,
          ended,
        });
        expect(readByHelper(ping(request))).toEqual({ type: 'ping', request });
        expect(readByHelper(stats(request))).toEqual({ type: 'stats', request });
        expect(readByHelper(goodbye())).toEqual({ type: 'goodbye' });
      }),
    );
  });

  test('subscribe is read with its options, as it was laid out', () => {
    fc.assert(
      fc.property(id, subscribeOptions, (request, options) => {
        const message = clientMessage.subscribe(request, {}, options);
        expect(message).toHaveLength(Object.keys(options).length === 0 ? 3 : 4);
        expect(readByHelper(message)).toEqual({ type: 'subscribe', request, filter: {}, options });
      }),
    );
  });

  test.each(invalidVectors)('is refused for the vector $name with $error', ({ frame, error: code }) => {
    expect(() => readClientFrame(frame)).toThrow(withCode(code));
  });

  test.each<[string, unknown]>([
    ['nil', null],
    ['a number', 1],
    ['a hello without its map', ['hello']],
    ['a hello of nil', ['hello', null]],
    ['versions of one element', ['hello', { versions: [1], software: 'x' }]],
    ['versions that are no list', ['hello', { versions: 1, software: 'x' }]],
    ['versions that are no integers', ['hello', { versions: [1, 1.5], software: 'x' }]],
    ['a software that is no string', ['hello', { versions: [1, 1], software: 1 }]],
    ['a software of 4,097 characters', ['hello', { versions: [1, 1], software: 'x'.repeat(4097) }]],
    ['a subscribe without a request', ['subscribe']],
    ['a subscribe with its filter first', ['subscribe', {}, 1]],
    ['a request of nil', ['ping', null]],
    ['a request beyond 2^53', ['stats', 2n ** 60n]],
    ['a subscription of 0', ['unsubscribe', 1, 0]],
    ['a snapshot without anything', ['snapshot']],
    ['a snapshot without a request', ['snapshot', null, {}, true]],
    ['a snapshot that does not say whether ended processes are wanted', ['snapshot', 1, {}]],
    ['a snapshot that wants ended processes as a number', ['snapshot', 1, {}, 1]],
    ['a subscription that is a string', ['unsubscribe', 1, '1']],
    ['options that are a string', ['subscribe', 1, {}, 'since']],
    ['options with a cursor that is none', ['subscribe', 1, {}, { since: 'now' }]],
  ])('with the wrong shape is refused: %s', (_name, value) => {
    expect(() => parseClientMessage(value)).toThrow(withCode('bad-message'));
  });

  test('of an unknown type is refused without repeating all of a long one', () => {
    const refusal: unknown = expect.objectContaining({
      code: 'unknown-message',
      message: `no message type "${'x'.repeat(40)}"`,
    });
    expect(() => parseClientMessage(['x'.repeat(60_000)])).toThrow(refusal);
  });

  test('ends in a message or a ProcbusError, whatever it is', () => {
    const types = fc.constantFrom(
      'hello',
      'subscribe',
      'unsubscribe',
      'snapshot',
      'ping',
      'stats',
      'goodbye',
      'x',
    );
    const message = fc.tuple(types, fc.anything(), fc.anything(), fc.anything());
    fc.assert(
      fc.property(fc.oneof(message, fc.anything()), (value) => {
        expect(refusalOf(value)).toSatisfy((code) => code === undefined || isErrorCode(code));
      }),
      { numRuns: 2000 },
    );
  });

  test('that is malformed still gives its request away, if it has one', () => {
    expect(requestOf(['unsubscribe', 7, 'x'])).toBe(7);
    expect(requestOf(['snapshot', 7])).toBe(7);
    for (const value of [['ping', 0], ['ping'], null, 'ping', { 1: 7 }]) expect(requestOf(value)).toBeNull();
  });
});
