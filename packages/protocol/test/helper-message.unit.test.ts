import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pack, packFrameHead, unpack } from '../src/codec.ts';
import { packEventsHead } from '../src/events-frame.ts';
import { eventTypes, lostPlaces, type KernelEvent } from '../src/event.ts';
import { grantedDetails, scopes } from '../src/grant.ts';
import type { Loss } from '../src/loss.ts';
import {
  helperMessage,
  readHelperMessage,
  parseSnapshotPosition,
  parseStreamPosition,
  parseSubscriptionStart,
  type HelperHello,
  type HelperMessage,
} from '../src/message.ts';
import type { Circumstances } from '../src/process.ts';
import type { VersionRange } from '../src/version.ts';
import { clockOffset, kernelTime } from './arbitraries.ts';
import { vectorOf, vectors } from './vectors.ts';
import { eventFromWire, eventToWire } from './wire-event.ts';

const withCode = (code: string): unknown => expect.objectContaining({ name: 'ProcbusError', code });

const readByClient = (message: unknown[]): HelperMessage => readHelperMessage(pack(message));

const id = fc.integer({ min: 1, max: 0xffffffff });
const count = fc.maxSafeInteger().map(Math.abs);
const text = fc.string({ unit: 'binary', maxLength: 40 });
const range = fc.tuple(id, id).map(([a, b]): VersionRange => [Math.min(a, b), Math.max(a, b)]);
const error = fc.record({
  code: text,
  message: text,
  remedy: fc.option(text, { nil: undefined }),
  oldest: fc.option(text, { nil: undefined }),
});
const grant = fc.record({
  scope: fc.constantFrom(...scopes),
  detail: fc.constantFrom(...grantedDetails),
  events: fc.subarray([...eventTypes]),
});

/** The vector of a hello with another grant. */
const helloWith = (other: unknown): unknown[] => {
  const [, hello] = vectorOf('helper-hello').value;
  return ['hello', { ...(hello as HelperHello), grant: other }];
};

describe('a message of a helper', () => {
  test.each(vectors.filter(({ from }) => from === 'helper'))('is read from the vector $name', (vector) => {
    const type = vector.name === 'unknown-type' ? 'unknown' : vector.value[0];
    expect(readHelperMessage(vector.frame.subarray(4)).type).toBe(type);
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
      grant,
    });
    fc.assert(
      fc.property(hello, (said) => {
        expect(readByClient(helperMessage.hello(said))).toEqual({ type: 'hello', hello: said });
      }),
    );
  });

  test('result, error and goodbye are read as they were laid out', () => {
    fc.assert(
      fc.property(id, error, fc.option(id), (request, told, about) => {
        expect(readByClient(helperMessage.result(request, told.code))).toEqual({
          type: 'result',
          request,
          value: told.code,
        });
        expect(readByClient(helperMessage.error(about, told))).toEqual({
          type: 'error',
          request: about,
          error: told,
        });
        expect(readByClient(helperMessage.goodbye(told))).toEqual({ type: 'goodbye', error: told });
      }),
    );
  });

  test('lost is read as it was laid out', () => {
    const where = fc.constantFrom(...lostPlaces);
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
        const read = readByClient(helperMessage.lost(subscription, lost));
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
          const [, , , , , , circumstances] = wire as [...unknown[]] & { 6: Circumstances };
          return eventToWire(event.seq, kernelEvent, circumstances);
        }),
      );
      const head = packEventsHead(subscription, seq, offset, events.length);
      expect(Buffer.concat([head, events]).toString('hex')).toBe(frame.toString('hex'));
    },
  );

  test('processes are laid out as in the vector processes', () => {
    const { frame, value } = vectorOf('processes');
    const [, request, list] = value as [string, number, unknown[]];
    const processes = pack(list);
    const head = packFrameHead(helperMessage.processesHead(request), processes.length);
    expect(Buffer.concat([head, processes]).toString('hex')).toBe(frame.toString('hex'));
    const read = readHelperMessage(frame.subarray(4));
    expect(read).toMatchObject({ type: 'processes', request, processes: [{ pid: 1200 }, { pid: 2 }] });
  });

  test('integers beyond 32 bits are laid out as integers, not as floats', () => {
    const seq = 2 ** 32;
    const loss = { where: 'queue', count: seq, from: seq, to: seq, kernelTime: 1n, clockOffset: 1n } as const;
    const hello = unpack(vectorOf('helper-hello').frame.subarray(4)) as [string, HelperHello];
    const float = Buffer.from('cb41f0000000000000', 'hex');
    const messages = {
      lost: helperMessage.lost(1, loss),
      hello: helperMessage.hello({ ...hello[1], seq }),
      position: [helperMessage.position({ seq, clockOffset: 1n })],
      subscriptionStart: [helperMessage.subscriptionStart({ seq, clockOffset: 1n, roots: {} })],
      snapshotPosition: [helperMessage.snapshotPosition({ seq, clockOffset: 1n, kernelTime: 1n })],
    };
    expect(packEventsHead(1, seq, 1n, 1).includes(float)).toBe(false);
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
    ['details that are no map', ['error', 1, 'gone', 'x', null, 'a:1']],
    ['an oldest cursor that is no string', ['goodbye', 'gone', 'x', null, { oldest: 1 }]],
    ['a hello with a grant of an earlier version', helloWith({ scope: 'all' })],
    ['a hello without a grant', helloWith(undefined)],
    ['a goodbye without a reason', ['goodbye']],
    ['events that are no list', ['events', 1, 1, 1n, {}]],
    ['events without a subscription', ['events', null, 1, 1n, []]],
    ['events with a negative seq', ['events', 1, -1, 1n, []]],
    ['events with a clock offset that is a float', ['events', 1, 1, 1.5, []]],
    ['processes without a request', ['processes', null, []]],
    ['processes that are no list', ['processes', 1, {}]],
    ['processes without a list', ['processes', 1]],
    ['a loss nowhere', ['lost', 1, 1n, 1n, 'there', 1, 1, 1]],
    ['a loss with a negative count', ['lost', 1, 1n, 1n, 'queue', -1, 1, 1]],
    ['a loss without a range', ['lost', 1, 1n, 1n, 'queue', 1]],
  ])('with the wrong shape is refused: %s', (_name, value) => {
    expect(() => readHelperMessage(pack(value))).toThrow(withCode('bad-message'));
  });
});

test.each([
  ['error-gone', { remedy: 'It begins at 8f3a61c20b9d47e5:1106.', oldest: '8f3a61c20b9d47e5:1106' }],
  ['error-gone-without-remedy', { remedy: undefined, oldest: '8f3a61c20b9d47e5:1106' }],
  ['error-with-remedy', { remedy: expect.any(String) as string, oldest: undefined }],
])('an error tells the oldest cursor where it has one: %s', (name, told) => {
  const read = readHelperMessage(vectorOf(name).frame.subarray(4));
  expect(read).toMatchObject({ type: 'error', error: told });
  if (read.type !== 'error') throw new Error('no error');
  expect(helperMessage.error(read.request, read.error)).toEqual(vectorOf(name).value);
});

/** The value of the result in a vector. */
const resultIn = (name: string): unknown => (unpack(vectorOf(name).frame.subarray(4)) as unknown[])[2];

test('the start of a subscription is read from the answer to subscribe', () => {
  const position = { seq: 4711, clockOffset: 1763824642123456789n };
  expect(parseSubscriptionStart(resultIn('result-subscribe'))).toEqual({ ...position, roots: {} });
  const roots = { '1200': '1200.td2bzmyo' };
  expect(parseSubscriptionStart(resultIn('result-subscribe-roots'))).toEqual({ ...position, roots });
  for (const wrong of [null, { ...position, seq: 1.5 }, { ...position, roots: [] }]) {
    expect(() => parseSubscriptionStart(wrong)).toThrow(withCode('bad-message'));
  }
  for (const root of [1, null, {}, 'x'.repeat(4097)]) {
    expect(() => parseSubscriptionStart({ ...position, roots: { 1: root } })).toThrow(
      withCode('bad-message'),
    );
  }
});

test('the start of a subscription is read as it was laid out', () => {
  const roots = fc.dictionary(id.map(String), text);
  fc.assert(
    fc.property(fc.record({ seq: count, clockOffset, roots }), (start) => {
      const read = parseSubscriptionStart(unpack(pack(helperMessage.subscriptionStart(start))));
      expect({ ...read, roots: { ...read.roots } }).toEqual({ ...start, roots: { ...start.roots } });
    }),
  );
});

test('roots are left out of the answer where there are none', () => {
  const start = helperMessage.subscriptionStart({ seq: 1, clockOffset: 1n, roots: {} });
  expect(Object.keys(start as object)).toEqual(['seq', 'clockOffset']);
});

test('a stream position is read from the answer to ping', () => {
  expect(parseStreamPosition(resultIn('result-subscribe'))).toEqual({
    seq: 4711,
    clockOffset: 1763824642123456789n,
  });
  for (const wrong of [null, [], {}, { seq: -1, clockOffset: 1n }, { seq: 1, clockOffset: 'x' }]) {
    expect(() => parseStreamPosition(wrong)).toThrow(withCode('bad-message'));
  }
});

test('a snapshot position is read from the answer to snapshot, as it was laid out', () => {
  const position = { seq: 4731, clockOffset: 1763824642123456789n, kernelTime: 2364695292613n };
  expect(parseSnapshotPosition(resultIn('result-snapshot'))).toEqual(position);
  expect(parseSnapshotPosition(unpack(pack(helperMessage.snapshotPosition(position))))).toEqual(position);
  for (const wrong of [
    null,
    {},
    { seq: 1, clockOffset: 1n },
    { kernelTime: 1n },
    { ...position, kernelTime: 1.5 },
  ]) {
    expect(() => parseSnapshotPosition(wrong)).toThrow(withCode('bad-message'));
  }
});
