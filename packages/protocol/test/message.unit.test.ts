import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pack, packFrameHead, unpack } from '../src/codec.ts';
import { ProcbusError } from '../src/errors.ts';
import { eventFromWire, eventToWire, type KernelEvent } from '../src/event.ts';
import { FrameDecoder, maxClientPayload } from '../src/frame.ts';
import type { Loss } from '../src/loss.ts';
import {
  chooseVersion,
  clientMessage,
  helperMessage,
  parseClientMessage,
  parseHelperMessage,
  parseStreamPosition,
  requestOf,
  type ClientMessage,
  type HelperHello,
  type VersionRange,
} from '../src/message.ts';
import { checkStructure, clientStructure } from '../src/structure.ts';
import { clockOffset, kernelTime } from './arbitraries.ts';
import { invalidVectors, vectorOf, vectors } from './vectors.ts';

const withCode = (code: string): unknown => expect.objectContaining({ name: 'ProcbusError', code });

/** What the helper does with the bytes of a client. */
const readClientFrame = (bytes: Buffer): ClientMessage[] =>
  [...new FrameDecoder(maxClientPayload).push(bytes)].map((payload) => {
    checkStructure(payload, clientStructure);
    return parseClientMessage(unpack(payload));
  });

const travel = (message: unknown[]): unknown => unpack(pack(message));

const id = fc.integer({ min: 1, max: 0xffffffff });
const count = fc.maxSafeInteger().map(Math.abs);
const text = fc.string({ unit: 'binary', maxLength: 40 });
const range = fc.tuple(id, id).map(([a, b]): VersionRange => [Math.min(a, b), Math.max(a, b)]);
const error = fc.record({ code: text, message: text, remedy: fc.option(text, { nil: undefined }) });

describe('a message of a client', () => {
  test.each(vectors.filter(({ from }) => from === 'client'))('is read from the vector $name', (vector) => {
    expect(readClientFrame(vector.frame)).toEqual([expect.objectContaining({ type: vector.value[0] })]);
  });

  test('is read as it was laid out', () => {
    fc.assert(
      fc.property(id, id, range, text, text, (request, subscription, versions, software, filter) => {
        const hello = { versions, software };
        const { hello: greet, subscribe, unsubscribe, ping, stats, goodbye } = clientMessage;
        const read = (message: unknown[]): ClientMessage => parseClientMessage(travel(message));
        expect(read(greet(hello))).toEqual({ type: 'hello', hello });
        expect(read(subscribe(request, { filter }))).toEqual({
          type: 'subscribe',
          request,
          filter: { filter },
        });
        expect(read(unsubscribe(request, subscription))).toEqual({
          type: 'unsubscribe',
          request,
          subscription,
        });
        expect(read(ping(request))).toEqual({ type: 'ping', request });
        expect(read(stats(request))).toEqual({ type: 'stats', request });
        expect(read(goodbye())).toEqual({ type: 'goodbye' });
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
    ['a subscription that is a string', ['unsubscribe', 1, '1']],
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
    const types = fc.constantFrom('hello', 'subscribe', 'unsubscribe', 'ping', 'stats', 'goodbye', 'x', 1);
    const anything = fc.tuple(types, fc.array(fc.anything())).map(([type, rest]) => [type, ...rest]);
    fc.assert(
      fc.property(fc.oneof(anything, fc.anything()), (value) => {
        try {
          expect(parseClientMessage(value)).toHaveProperty('type');
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ProcbusError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('that is malformed still gives its request away, if it has one', () => {
    expect(requestOf(['unsubscribe', 7, 'x'])).toBe(7);
    for (const value of [['ping', 0], ['ping'], null, 'ping', { 1: 7 }]) expect(requestOf(value)).toBeNull();
  });
});

describe('a message of a helper', () => {
  test.each(vectors.filter(({ from }) => from === 'helper'))('is read from the vector $name', (vector) => {
    const type = vector.name === 'unknown-type' ? 'unknown' : vector.value[0];
    expect(parseHelperMessage(unpack(vector.frame.subarray(4))).type).toBe(type);
  });

  test('hello is read as it was laid out', () => {
    const hello: fc.Arbitrary<HelperHello> = fc.record({
      version: id,
      versions: range,
      software: text,
      epoch: text,
      seq: count,
      bootId: text,
      clockOffset,
      grant: fc.constant({ scope: 'all' } as const),
    });
    fc.assert(
      fc.property(hello, (said) => {
        expect(parseHelperMessage(travel(helperMessage.hello(said)))).toEqual({ type: 'hello', hello: said });
      }),
    );
  });

  test('result, error and goodbye are read as they were laid out', () => {
    fc.assert(
      fc.property(id, error, fc.option(id), (request, told, about) => {
        const read = (message: unknown[]): unknown => parseHelperMessage(travel(message));
        expect(read(helperMessage.result(request, told.code))).toEqual({
          type: 'result',
          request,
          value: told.code,
        });
        expect(read(helperMessage.error(about, told))).toEqual({
          type: 'error',
          request: about,
          error: told,
        });
        expect(read(helperMessage.goodbye(told))).toEqual({ type: 'goodbye', error: told });
      }),
    );
  });

  test('lost is read as it was laid out', () => {
    const where = fc.constantFrom('kernel' as const, 'queue' as const);
    const loss: fc.Arbitrary<Loss> = fc.record({
      where,
      count,
      from: count,
      to: count,
      kernelTime,
      clockOffset,
    });
    fc.assert(
      fc.property(id, loss, (subscription, lost) => {
        const read = parseHelperMessage(travel(helperMessage.lost(subscription, lost)));
        expect(read).toEqual({ type: 'lost', subscription, lost });
      }),
    );
  });

  test.each(vectors.filter(({ value, name }) => value[0] === 'events' && name !== 'events-from-later'))(
    'events are laid out as in the vector $name',
    ({ frame, value }) => {
      const [, subscription, seq, offset, wires] = value as [string, number, number, bigint, unknown[]];
      const events = pack(
        wires.map((wire) => {
          const event = eventFromWire(wire, offset);
          if (event === undefined) throw new Error('a type that is not known');
          const kernelEvent = { ...event, kernelTime: BigInt(event.kernelTime) } as KernelEvent;
          return eventToWire(event.seq, kernelEvent);
        }),
      );
      const head = packFrameHead(helperMessage.eventsHead(subscription, seq, offset), events.length);
      expect(Buffer.concat([head, events]).toString('hex')).toBe(frame.toString('hex'));
    },
  );

  test('integers beyond 32 bits are laid out as integers, not as floats', () => {
    const seq = 2 ** 32;
    const loss = { where: 'queue', count: seq, from: seq, to: seq, kernelTime: 1n, clockOffset: 1n } as const;
    const hello = unpack(vectorOf('helper-hello').frame.subarray(4)) as [string, HelperHello];
    const float = Buffer.from('cb41f0000000000000', 'hex');
    const messages = {
      events: helperMessage.eventsHead(1, seq, 1n),
      lost: helperMessage.lost(1, loss),
      hello: helperMessage.hello({ ...hello[1], seq }),
    };
    for (const [name, message] of Object.entries(messages)) {
      expect(pack(message).includes(float), `${name} has a float in it`).toBe(false);
    }
  });

  test.each<[string, unknown]>([
    ['nil', null],
    ['a map', {}],
    ['a hello of a list', ['hello', []]],
    ['a hello without all its fields', ['hello', { version: 1, versions: [1, 1], software: 'x' }]],
    ['a result without a request', ['result']],
    ['an error about request 0', ['error', 0, 'internal', 'x']],
    ['an error without a code', ['error', null]],
    ['an error without a message', ['error', null, 'internal']],
    ['a remedy that is no string', ['error', null, 'internal', 'x', 1]],
    ['a goodbye without a reason', ['goodbye']],
    ['events that are no list', ['events', 1, 1, 1n, {}]],
    ['events without a subscription', ['events', null, 1, 1n, []]],
    ['events with a negative seq', ['events', 1, -1, 1n, []]],
    ['events with a clock offset that is a float', ['events', 1, 1, 1.5, []]],
    ['a loss nowhere', ['lost', 1, 1n, 1n, 'there', 1, 1, 1]],
    ['a loss with a negative count', ['lost', 1, 1n, 1n, 'queue', -1, 1, 1]],
    ['a loss without a range', ['lost', 1, 1n, 1n, 'queue', 1]],
  ])('with the wrong shape is refused: %s', (_name, value) => {
    expect(() => parseHelperMessage(value)).toThrow(withCode('bad-message'));
  });
});

describe('a message of a later version', () => {
  // An error or a goodbye without a remedy ends where one could follow.
  const complete = vectors.filter(({ name }) => !/^error-without|^helper-goodbye$/.test(name));

  test.each(complete)('is read alike with more elements behind those of $name', ({ from, value }) => {
    const parse = from === 'client' ? parseClientMessage : parseHelperMessage;
    expect(parse([...value, 'more', { later: true }])).toEqual(parse(value));
  });

  test('is read alike with more keys in its hello', () => {
    const more = ([type, hello]: readonly unknown[]): unknown[] => [type, { ...(hello as object), later: 1 }];
    const [client, helper] = [vectorOf('client-hello').value, vectorOf('helper-hello').value];
    expect(parseClientMessage(more(client))).toEqual(parseClientMessage(client));
    expect(parseHelperMessage(more(helper))).toEqual(parseHelperMessage(helper));
  });
});

describe('the version spoken', () => {
  test.each<[VersionRange, VersionRange, number]>([
    [[1, 1], [1, 1], 1],
    [[1, 3], [2, 5], 3],
    [[2, 5], [1, 3], 3],
    [[1, 9], [4, 4], 4],
    [[1, 2], [2, 3], 2],
  ])('is the highest in both %j and %j', (helper, client, version) => {
    expect(chooseVersion(helper, client)).toBe(version);
  });

  test('is none where the ranges do not meet; the error names both and who is behind', () => {
    expect(() => chooseVersion([1, 1], [2, 3])).toThrow(
      expect.objectContaining({
        code: 'version-mismatch',
        message: 'the helper speaks protocol version 1, the client 2 to 3',
        remedy: 'Upgrade the helper (procbusd).',
      }),
    );
    expect(() => chooseVersion([4, 5], [2, 3])).toThrow(
      expect.objectContaining({ remedy: 'Upgrade the client (procbus).' }),
    );
  });
});

test('a stream position is read from the answer to subscribe', () => {
  const [, , value] = unpack(vectorOf('result-subscribe').frame.subarray(4)) as unknown[];
  expect(parseStreamPosition(value)).toEqual({ seq: 4711, clockOffset: 1763824642123456789n });
  for (const wrong of [null, [], {}, { seq: -1, clockOffset: 1n }, { seq: 1, clockOffset: 'x' }]) {
    expect(() => parseStreamPosition(wrong)).toThrow(withCode('bad-message'));
  }
});
