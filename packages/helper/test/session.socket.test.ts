/*
 * One client and what it is answered, over a real socket.
 */
import { userInfo } from 'node:os';
import { clientMessage, eventTypes, frameHeader, fullGrant, maxClientPayload } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { defaultJournalSize } from '../src/bus/journal.ts';
import { ownInterest } from '../src/kernel/socket-filter.ts';
import { eventOf, unknownProcess } from './support/bus.ts';
import { RawClient } from './support/raw-client.ts';
import { receiveBuffer, serve, subscriptionsOf } from './support/serving.ts';

const { goodbye, hello, ping, stats, subscribe, unsubscribe } = clientMessage;
const text: unknown = expect.any(String);
const integer: unknown = expect.toSatisfy((value) => Number.isSafeInteger(value) && value >= 0);
const number: unknown = expect.toSatisfy((value) => typeof value === 'number' && value >= 0);
const int64: unknown = expect.any(BigInt);

describe('the hellos', () => {
  test('the helper answers a hello with one of its own, before anything else', async () => {
    const { path, broadcast, publish } = await serve();
    publish([eventOf('exec', 1)], 2);
    const client = await RawClient.connect(path);
    client.send(hello({ versions: [1, 7], software: 'raw/1' }), ping(1));
    await client.next('result');
    expect(client.received[0]).toEqual([
      'hello',
      {
        version: 1,
        versions: [1, 1],
        software: 'procbusd/test',
        epoch: broadcast.epoch,
        seq: 3,
        bootId: '2b7f4a0c-0000-4000-8000-000000000000',
        clockOffset: int64,
        grant: fullGrant,
      },
    ]);
  });

  test('a client without a common version is told both ranges, and has to go', async () => {
    const { path } = await serve();
    const client = await RawClient.connect(path);
    client.send(hello({ versions: [2, 3], software: 'raw/1' }));
    const remedy = 'Upgrade the helper (procbusd).';
    const message = 'the helper speaks protocol version 1, the client 2 to 3';
    expect(await client.next('error')).toEqual(['error', null, 'version-mismatch', message, remedy]);
    await client.closed;
  });

  test.each<[string, unknown[], unknown[]]>([
    ['a request comes first', ['ping', 7], ['error', 7, 'hello-expected', text]],
    ['a goodbye comes first', ['goodbye'], ['error', null, 'hello-expected', text]],
    ['the hello is malformed', ['hello', { versions: [1, 1] }], ['error', null, 'bad-message', text]],
    ['the first message is unknown', ['hi', 7], ['error', 7, text, text, text]],
  ])('the connection ends where %s', async (_case, first, answer) => {
    const { path, server } = await serve();
    const client = await RawClient.connect(path);
    client.send(first, hello({ versions: [1, 1], software: 'raw/1' }));
    await client.closed;
    expect(client.received).toEqual([answer]);
    await until('the server to forget the client', () => server.connections.length === 0);
  });
});

describe('a message that is wrong', () => {
  test.each<[string, unknown[], unknown[]]>([
    ['a second hello', hello({ versions: [1, 1], software: 'x' }), [null, 'bad-message', text]],
    ['of an unknown type', ['dance', 9], [9, 'unknown-message', text, text]],
    ['of an unknown type without a request', ['dance', 'x'], [null, 'unknown-message', text, text]],
    ['malformed', ['unsubscribe', 9, 'x'], [9, 'bad-message', text]],
    ['malformed without a request', ['ping', 0], [null, 'bad-message', text]],
    ['without a type', [], [null, 'bad-message', text]],
  ])('is answered with an error, and the connection goes on: %s', async (_case, message, error) => {
    const { path } = await serve();
    const client = await RawClient.greet(path);
    client.send(message, ping(10));
    await client.next('result');
    expect(client.received.slice(1)).toEqual([
      ['error', ...error],
      ['result', 10, expect.anything()],
    ]);
  });

  test.each<[string, Buffer, string]>([
    ['garbage in a frame', Buffer.concat([frameHeader(2), Buffer.of(0xc1, 0xc1)]), 'bad-frame'],
    ['bytes behind the value', Buffer.concat([frameHeader(2), Buffer.of(1, 1)]), 'bad-frame'],
    ['a frame of length 0', frameHeader(0), 'bad-frame'],
    ['a frame too long by a byte', frameHeader(maxClientPayload + 1), 'frame-too-large'],
    ['text', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'frame-too-large'],
  ])('costs the connection where the stream cannot be followed: %s', async (_case, bytes, code) => {
    const { path, broadcast } = await serve();
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, {}));
    client.socket.write(bytes);
    await client.closed;
    expect(client.received.slice(2)).toEqual([['error', null, code, text]]);
    expect(broadcast.interest).toEqual(ownInterest);
  });
});

describe('subscriptions', () => {
  test('each is told what its own filter lets through', async () => {
    const { path, publish } = await serve();
    const client = await RawClient.greet(path);
    expect(await client.request(subscribe(1, { events: ['exec'] }))).toEqual({
      seq: 0,
      clockOffset: int64,
    });
    await client.request(subscribe(2, { events: ['exec', 'sid'], threads: true }));
    publish([eventOf('exec', 5), eventOf('sid', 6), eventOf('exec', 7, 8)], 3);
    await client.request(ping(3));
    const time = 2n ** 60n;
    const about = (pid: number): object => ({ process: unknownProcess(pid, time + BigInt(pid)) });
    const exec = ['exec', 1, time + 5n, 0, 5, 5, about(5)];
    const sid = ['sid', 2, time + 6n, 0, 6, 6, about(6)];
    const thread = ['exec', 3, time + 7n, 0, 7, 8, about(7)];
    expect(client.received.slice(3, -1)).toEqual([
      ['events', 1, 3, int64, [exec]],
      ['events', 2, 3, int64, [exec, sid, thread]],
      ['lost', 1, 2n ** 60n, 5, 'kernel', 3, 4, 6],
      ['lost', 2, 2n ** 60n, 5, 'kernel', 3, 4, 6],
    ]);
  });

  test('one that ends is told no more, and its number can be used again', async () => {
    const { path, publish, server } = await serve();
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, {}));
    publish([eventOf('exec', 1)]);
    expect(await client.request(unsubscribe(2, 1))).toBeNull();
    expect(subscriptionsOf(server)).toBe(0);
    publish([eventOf('exec', 2)]);
    expect(await client.request(subscribe(1, {}))).toMatchObject({ seq: 2 });
    publish([eventOf('exec', 3)]);
    await client.request(ping(3));
    expect(client.told(1).map(([, seq]) => seq)).toEqual([1, 3]);
  });

  test('a number in use, and one that is not, are told apart', async () => {
    const { path, server } = await serve();
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, {}));
    expect(await client.request(subscribe(1, {}))).toEqual(['subscription-in-use', text]);
    expect(await client.request(unsubscribe(2, 3))).toEqual(['no-such-subscription', text]);
    expect(subscriptionsOf(server)).toBe(1);
  });

  test('the 65th of a connection is refused, and accepted in another one', async () => {
    const { path, server } = await serve();
    const client = await RawClient.greet(path);
    client.send(...Array.from({ length: 64 }, (_, index) => subscribe(index + 1, {})));
    expect(await client.request(subscribe(65, {}))).toEqual(['too-many-subscriptions', text, text]);
    await client.request(unsubscribe(66, 64));
    expect(await client.request(subscribe(65, {}))).toMatchObject({ seq: 0 });
    const other = await RawClient.greet(path);
    expect(await other.request(subscribe(65, {}))).toMatchObject({ seq: 0 });
    expect(subscriptionsOf(server)).toBe(65);
  });

  test.each<[string, unknown, string]>([
    ['threads', { threads: 1 }, 'threads: '],
    ['events', { events: [] }, 'events: '],
    ['an event type', { events: ['exec', 'exce'] }, '"exce"'],
    ['an unknown field', { pid: [1] }, '"pid"'],
    ['the filter itself', null, 'the filter '],
  ])('a filter that is wrong is refused by name: %s', async (_case, filter, name) => {
    const { path, broadcast } = await serve();
    const client = await RawClient.greet(path);
    const [code, message] = (await client.request(subscribe(1, filter as object))) as [string, string];
    expect(code).toBe('bad-filter');
    expect(message).toContain(name);
    expect(broadcast.interest).toEqual(ownInterest);
  });
});

describe('answers', () => {
  test('ping tells where the stream stands', async () => {
    const { path, publish } = await serve();
    const client = await RawClient.greet(path);
    expect(await client.request(ping(0xffffffff))).toEqual({ seq: 0, clockOffset: int64 });
    publish([eventOf('exec', 1)], 10);
    expect(await client.request(ping(1))).toEqual({ seq: 11, clockOffset: int64 });
  });

  test('stats are those that the specification lists', async () => {
    const { path, publish, broadcast } = await serve();
    const client = await RawClient.greet(path);
    await RawClient.greet(path);
    await client.request(subscribe(1, { events: ['exit'], threads: true }));
    publish([eventOf('exec', 1), eventOf('sid', 1), eventOf('exec', 2)], 7);
    const connection = {
      uid: process.getuid?.(),
      subscriptions: 1,
      queuedBytes: 0,
      lag: 0,
      delivered: 0,
      lost: 0,
    };
    const peer = { pid: process.pid, software: 'raw/1', ...connection };
    const { uid, subscriptions, queuedBytes, lag, lost } = connection;
    expect(await client.request(stats(2))).toEqual({
      connection,
      helper: {
        uptime: number,
        epoch: broadcast.epoch,
        seq: 10,
        received: { exec: 2, sid: 1 },
        lost: { kernel: 7, queue: 0 },
        kernelFilter: { processes: [...eventTypes], threads: ['exit'] },
        processes: { living: 2, ended: 0 },
        programReader: 'none',
        capabilities: expect.any(Array),
        receiveBuffer,
        journal: {
          events: 4,
          bytes: integer,
          limit: defaultJournalSize,
          seconds: number,
          oldest: `${broadcast.epoch}:0`,
        },
        eventLoopDelay: { p50: number, p99: number, max: number },
        memory: { rss: integer, heapUsed: integer },
        cpu: { user: number, system: number },
        clients: [{ uid, user: userInfo().username, connections: 2, subscriptions, queuedBytes, lag, lost }],
        connections: [peer, { ...peer, subscriptions: 0 }],
      },
    });
  });

  test('several requests in one piece are answered in order', async () => {
    const { path } = await serve();
    const client = await RawClient.connect(path);
    const requests = [
      subscribe(5, { events: eventTypes }),
      ping(3),
      ['dance', 4],
      unsubscribe(2, 5),
      stats(1),
    ];
    client.send(hello({ versions: [1, 1], software: 'raw/1' }), ...requests);
    await client.until('all answers', () => client.received.length === 6);
    expect(client.received.slice(1).map(([type, request]) => [type, request])).toEqual([
      ['result', 5],
      ['result', 3],
      ['error', 4],
      ['result', 2],
      ['result', 1],
    ]);
  });

  test('goodbye ends the connection, and what comes behind it is not answered', async () => {
    const { path, server } = await serve();
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, {}));
    client.send(ping(2), goodbye(), ping(3));
    await client.closed;
    expect(client.received.slice(2).map(([, request]) => request)).toEqual([2]);
    await until('the server to forget the client', () => server.connections.length === 0);
  });
});
