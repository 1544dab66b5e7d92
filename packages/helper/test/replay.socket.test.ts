/*
 * What happened before, then what happens: over a real socket, to clients that read as they like.
 */
import { clientMessage, type SubscribeOptions } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { Journal } from '../src/bus/journal.ts';
import { account, lossesOf, type ToldLoss } from './support/account.ts';
import { eventOf, execs } from './support/bus.ts';
import { followCursor } from './support/cursor.ts';
import { RawClient } from './support/raw-client.ts';
import { granted, serve, serveInReach, type Serving } from './support/serving.ts';

const { ping, subscribe, unsubscribe } = clientMessage;
const text: unknown = expect.any(String);
const int64: unknown = expect.any(BigInt);
const KiB = 1024;

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** A helper whose journal holds much more than a socket and an outbox. */
async function serveJournal(options: Parameters<typeof serve>[0] = {}): Promise<Serving> {
  const { bus, ...rest } = options;
  return serve({ bus: { journal: new Journal(256 * KiB * KiB), ...bus }, ...rest });
}

const since = ({ broadcast }: Serving, seq: number): SubscribeOptions => ({
  since: { epoch: broadcast.epoch, seq },
});

/** What a subscription was told that began behind a number: each in its place, nothing twice. */
function toldSince(client: RawClient, subscription: number, start: number): (number | ToldLoss)[] {
  followCursor(client.received, subscription, start);
  return account(client.told(subscription));
}

describe('a subscription since a cursor', () => {
  test('is told first the result, then what happened, then what happens, without a seam', async () => {
    const serving = await serveJournal();
    const { path, publish, broadcast } = serving;
    publish(execs(2000));
    const client = await RawClient.greet(path);
    expect(await client.request(subscribe(1, {}, since(serving, 100)))).toEqual({
      seq: 100,
      clockOffset: int64,
    });
    for (let round = 0; round < 50; round++) {
      publish([eventOf('exec', 1)]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.hears(1, 2050);
    const order = client.received.map(([type]) => type);
    expect(order.indexOf('events')).toBeGreaterThan(order.indexOf('result'));
    expect(toldSince(client, 1, 100)).toEqual(range(101, broadcast.seq));
  });

  test('is told all of it, however slowly it reads, and whatever happens meanwhile', async () => {
    const serving = await serveJournal({ host: { outboxLimit: () => 64 * KiB } });
    const { publish, broadcast } = serving;
    for (let batch = 0; batch < 12; batch++) publish(execs(4096));
    const { path, accepted } = await serveInReach(serving);
    const client = await RawClient.greet(path);
    const { socket } = await accepted;
    client.socket.pause();
    client.send(subscribe(1, {}, since(serving, 0)), subscribe(2, { events: ['sid'] }, since(serving, 0)));
    await until('the socket to be full', () => socket.writableNeedDrain);
    let held = 0;
    for (let sip = 0; sip < 40; sip++) {
      publish(execs(500));
      publish([eventOf('sid', 7)]);
      const { bytesRead } = client.socket;
      client.socket.resume();
      await client.until('something', () => client.socket.bytesRead > bytesRead);
      client.socket.pause();
      held = Math.max(held, socket.writableLength);
    }
    // One step of the replay, and no more.
    expect(held).toBeLessThan(256 * KiB);
    const { seq } = broadcast;
    client.socket.resume();
    await client.hears(1, seq);
    await client.hears(2, seq);
    publish(execs(10));
    await client.hears(1, seq + 10);
    expect(toldSince(client, 1, 0)).toEqual(range(1, seq + 10));
    expect(toldSince(client, 2, 0)).toEqual(
      range(12 * 4096 + 1, seq).filter((n) => (n - 12 * 4096) % 501 === 0),
    );
  });

  test('is told all of it, in order, also where its user may queue no more', async () => {
    const serving = await serveJournal();
    const { path, publish, broadcast, server } = serving;
    for (let batch = 0; batch < 500; batch++) publish(execs(50), 1);
    const { seq } = broadcast;
    const uid = process.getuid?.() ?? 0;
    const { limits } = granted();
    // Another connection, for which all waits that may.
    const other = server.quotas.open(uid, limits);
    other?.queue(limits.queuedBytes);
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, {}, since(serving, 0)));
    const last = (): unknown => client.told(1).at(-1)?.at(-1);
    await client.until('the last loss', () => last() === seq);
    expect(toldSince(client, 1, 0)).toEqual(
      range(1, seq).map((n) => (n % 51 === 0 ? { where: 'kernel', count: 1, from: n, to: n } : n)),
    );
    // From here on it is told what happens as it happens, and for that there is no room.
    for (let request = 2; request < 5; request++) await client.request(ping(request));
    publish([eventOf('exec', 1)]);
    await client.request(ping(5));
    expect(account(client.told(1)).at(-1)).toEqual({ where: 'queue', count: 1, from: seq + 1, to: seq + 1 });
    other?.queue(-limits.queuedBytes);
    other?.close();
  });

  test('tells what the kernel lost in its place', async () => {
    const serving = await serveJournal();
    const { path, publish } = serving;
    publish(execs(700), 5);
    publish(execs(700), 1);
    publish([eventOf('exec', 1)]);
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, {}, since(serving, 3)));
    await client.hears(1, 1407);
    expect(toldSince(client, 1, 3)).toEqual([
      ...range(4, 700),
      { where: 'kernel', count: 5, from: 701, to: 705 },
      ...range(706, 1405),
      { where: 'kernel', count: 1, from: 1406, to: 1406 },
      1407,
    ]);
  });

  test('that is overtaken is told how much it cannot be told, and where, and goes on', async () => {
    const serving = await serve({ bus: { journal: new Journal(8192 * 700) } });
    const { publish, broadcast } = serving;
    publish(execs(4096));
    const { path, accepted } = await serveInReach(serving);
    const client = await RawClient.greet(path);
    const { socket } = await accepted;
    client.socket.pause();
    client.send(subscribe(1, { include: ['user', 'cgroup'] }, since(serving, 0)));
    await until('the socket to be full', () => socket.writableNeedDrain);
    for (let batch = 0; batch < 4; batch++) publish(execs(4096));
    const { seq } = broadcast;
    client.socket.resume();
    await client.hears(1, seq);
    publish([eventOf('exec', 1)]);
    await client.hears(1, seq + 1);

    const told = toldSince(client, 1, 0);
    const [hole, ...others] = lossesOf(told, 'journal');
    expect(others).toEqual([]);
    if (hole === undefined) throw new Error('nothing was overtaken');
    expect(hole.count).toBe(hole.to - hole.from + 1);
    expect(told).toEqual([...range(1, hole.from - 1), hole, ...range(hole.to + 1, seq + 1)]);
  });

  test('that ends in the middle is told no more, and its number can be used again', async () => {
    const serving = await serveJournal();
    for (let batch = 0; batch < 10; batch++) serving.publish(execs(4096));
    const { path, accepted } = await serveInReach(serving);
    const client = await RawClient.greet(path);
    const { socket } = await accepted;
    client.socket.pause();
    client.send(subscribe(1, {}, since(serving, 0)));
    await until('the socket to be full', () => socket.writableNeedDrain);
    client.send(unsubscribe(2, 1), subscribe(1, {}, since(serving, 40_000)));
    client.socket.resume();
    await client.hears(1, 40_960);
    await client.request(ping(3));
    const results = client.received.flatMap(([type], index) => (type === 'result' ? [index] : []));
    const [, end = 0, second = 0] = results;
    expect(client.received.slice(end, second).filter(([type]) => type === 'events')).toEqual([]);
    const told = account(client.told(1));
    const before = told.indexOf(40_001);
    expect(told.slice(before)).toEqual(range(40_001, 40_960));
    expect(told.slice(0, before)).toEqual(range(1, before));
    expect(before).toBeLessThan(40_000);
  });

  test('is refused where there is nothing since, with the oldest cursor, from which it may begin', async () => {
    const serving = await serve({ bus: { journal: new Journal(100 * 700) } });
    const { path, publish, broadcast } = serving;
    publish(execs(1000));
    const client = await RawClient.greet(path);
    const { epoch } = broadcast;
    const oldest = `${epoch}:${broadcast.journal.oldest}`;
    const wrong = [
      { since: { epoch, seq: 3 } },
      { since: { epoch, seq: 1001 } },
      { since: { epoch: '00ff', seq: 1000 } },
      { since: { epoch, seq: broadcast.journal.oldest - 1 } },
    ];
    for (const options of wrong) {
      const gone = await client.request(subscribe(1, {}, options));
      expect(gone).toEqual(['gone', text, expect.stringContaining(oldest), { oldest }]);
    }
    await client.request(subscribe(1, {}, since(serving, broadcast.journal.oldest)));
    await client.hears(1, 1000);
    expect(account(client.told(1))).toEqual(range(broadcast.journal.oldest + 1, 1000));
    // What came last is held, so nothing is missing before what comes next.
    await client.request(subscribe(2, {}, since(serving, 1000)));
    publish([eventOf('exec', 1)]);
    await client.hears(2, 1001);
    expect(account(client.told(2))).toEqual([1001]);
  });

  test('is told first that something is missing where it wants what was not collected', async () => {
    const serving = await serveJournal();
    const { path, publish } = serving;
    publish(execs(10));
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, { threads: true }, since(serving, 4)));
    publish([eventOf('exec', 1, 2)]);
    await client.hears(1, 11);
    expect(toldSince(client, 1, 4)).toEqual([
      { where: 'journal', count: 0, from: 4, to: 4 },
      ...range(5, 11),
    ]);
    // From here on it was.
    await client.request(subscribe(2, { threads: true }, since(serving, 10)));
    await client.hears(2, 11);
    expect(toldSince(client, 2, 10)).toEqual([11]);
  });
});

describe('a subscription since a time', () => {
  test('is told what is held of it, and first that there may be more where it is not reached', async () => {
    const serving = await serveJournal();
    const { path, publish } = serving;
    publish(execs(10));
    const client = await RawClient.greet(path);
    const at = (pid: number): bigint => 2n ** 60n + BigInt(pid);
    expect(await client.request(subscribe(1, {}, { sinceTime: at(5) }))).toMatchObject({ seq: 4 });
    expect(await client.request(subscribe(2, {}, { sinceTime: 2n ** 62n }))).toMatchObject({ seq: 10 });
    expect(await client.request(subscribe(3, {}, { sinceTime: -5n }))).toMatchObject({ seq: 0 });
    publish([eventOf('exec', 11)]);
    for (const subscription of [1, 2, 3]) await client.hears(subscription, 11);
    expect(toldSince(client, 1, 4)).toEqual(range(5, 11));
    expect(toldSince(client, 2, 10)).toEqual([11]);
    expect(toldSince(client, 3, 0)).toEqual([
      { where: 'journal', count: 0, from: 0, to: 0 },
      ...range(1, 11),
    ]);
  });
});

describe('a client that is told nothing', () => {
  test('hears how far the stream has come, again and again', async () => {
    const serving = await serve({ bus: { heartbeat: 100 } });
    const { path, publish } = serving;
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, { events: ['coredump'] }));
    publish(execs(10), 7);
    const beats = (): unknown[] => client.received.filter(([type]) => type === 'events');
    await client.until('a heartbeat', () => beats().length === 1);
    publish(execs(10));
    await client.until('another one', () => beats().length === 2);
    expect(beats()).toEqual([
      ['events', 1, 17, int64, []],
      ['events', 1, 27, int64, []],
    ]);
    expect(followCursor(client.received, 1, 0)).toBe(27);
  });

  test('as its events are held back hears of them first', async () => {
    const serving = await serve({ bus: { heartbeat: 50 } });
    const { path, publish, broadcast } = serving;
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, {}, { maxDelay: 400 }));
    for (let round = 0; round < 3; round++) publish(execs(100));
    await client.hears(1, broadcast.seq);
    expect(account(client.told(1))).toEqual(range(1, 300));
    expect(followCursor(client.received, 1, 0)).toBe(300);
  });
});

describe('events that come fast', () => {
  /** How many messages it takes to tell of 30 batches that come one after the other, and for how long, in ms. */
  async function told(options: SubscribeOptions): Promise<{ messages: number; after: number }> {
    const { path, publish } = await serve();
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, {}, options));
    for (let batch = 0; batch < 30; batch++) {
      publish(execs(100));
      await client.request(ping(batch + 2));
    }
    const published = performance.now();
    await client.hears(1, 3000);
    const after = performance.now() - published;
    expect(account(client.told(1))).toEqual(range(1, 3000));
    expect(followCursor(client.received, 1, 0)).toBe(3000);
    return { messages: client.received.filter(([type]) => type === 'events').length, after };
  }

  test('are told at once where nothing may be held back', async () => {
    expect(await told({ maxDelay: 0 })).toMatchObject({ messages: 30 });
  });

  test('are told together where they may be held back, and no later than that', async () => {
    const [usual, slow] = [await told({}), await told({ maxDelay: 500 })];
    expect(usual.messages).toBeLessThan(30);
    expect(slow.messages).toBeLessThan(4);
    expect(slow.after).toBeLessThan(1500);
  });
});

describe('a client that falls behind', () => {
  test('has to go where it wants that, is told why, and comes back without a loss', async () => {
    const serving = await serveJournal({ host: { outboxLimit: () => 256 * KiB } });
    const { path, publish, broadcast, server } = serving;
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, {}, { onLag: 'disconnect' }));
    client.socket.pause();
    while (server.dropped === 0) publish(execs(1000));
    await until('it to be unsubscribed', () => server.connections[0]?.subscriptions === 0);
    client.socket.resume();
    await client.closed;
    expect(client.received.at(-1)).toEqual([
      'goodbye',
      'lagged',
      expect.stringContaining('subscription 1'),
      text,
    ]);
    const cursor = followCursor(client.received, 1, 0);
    expect(account(client.told(1))).toEqual(range(1, cursor));
    expect(cursor).toBeLessThan(broadcast.seq);

    const again = await RawClient.greet(path);
    await again.request(subscribe(1, {}, { ...since(serving, cursor), onLag: 'disconnect' }));
    publish([eventOf('exec', 1)]);
    await again.hears(1, broadcast.seq);
    expect(toldSince(again, 1, cursor)).toEqual(range(cursor + 1, broadcast.seq));
  });

  test('has to go for one subscription, whatever the others want', async () => {
    const { path, publish, server } = await serve({ host: { outboxLimit: () => 256 * KiB } });
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, {}));
    await client.request(subscribe(2, { events: ['sid'] }, { onLag: 'disconnect' }));
    client.socket.pause();
    while (server.dropped === 0) publish(execs(1000));
    await new Promise((resolve) => setImmediate(resolve));
    expect(server.connections).toMatchObject([{ subscriptions: 2 }]);
    publish([eventOf('sid', 1)]);
    client.socket.resume();
    await client.closed;
    expect(client.received.at(-1)?.slice(0, 2)).toEqual(['goodbye', 'lagged']);
  });

  test('stays where it does not want that', async () => {
    const { path, publish, broadcast, server } = await serve({ host: { outboxLimit: () => 256 * KiB } });
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, {}, { onLag: 'drop' }));
    client.socket.pause();
    while (server.dropped === 0) publish(execs(1000));
    client.socket.resume();
    await client.request(ping(2));
    publish([eventOf('exec', 1)]);
    await client.hears(1, broadcast.seq);
    expect(followCursor(client.received, 1, 0)).toBe(broadcast.seq);
  });
});
