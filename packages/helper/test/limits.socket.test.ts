/*
 * What one user may take, and that others are served beside it.
 */
import { clientMessage } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { Journal } from '../src/bus/journal.ts';
import { account, expectComplete, lossesOf } from './support/account.ts';
import { eventOf, execs } from './support/bus.ts';
import { canBeOthers, type Identity } from './support/impersonate.ts';
import { RawClient } from './support/raw-client.ts';
import { granted, serve, subscriptionsOf, type Serving } from './support/serving.ts';

const { hello, ping, snapshot, subscribe, unsubscribe } = clientMessage;
const text: unknown = expect.any(String);
const KiB = 1024;
/** Users that need not exist; where we cannot be others, these tests are about one user alone. */
const [anna, ben]: (Identity | undefined)[] = canBeOthers ? [{ uid: 54_321 }, { uid: 54_322 }] : [];
const uidOfAnna = anna?.uid ?? process.getuid?.();

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

async function serveLimited(
  limits: Parameters<typeof granted>[0],
  options: Parameters<typeof serve>[0] = {},
): Promise<Serving> {
  return serve({ ...options, host: { grantTo: () => granted(limits), ...options.host } });
}

describe('connections', () => {
  const quota = (limit: number): unknown[] => [
    'goodbye',
    'quota',
    `the user ${uidOfAnna} has ${limit} connections already, which is the limit`,
    expect.stringContaining('`connections` in procbusd.toml'),
  ];

  test('beyond what a user may have are told why not, also if they say hello, and then have to go', async () => {
    const { path } = await serveLimited({ connections: 3 });
    const first = await RawClient.greet(path, anna);
    for (let more = 0; more < 2; more++) await RawClient.greet(path, anna);
    const refused = await RawClient.connect(path, anna);
    refused.send(hello({ versions: [1, 1], software: 'raw/1' }), ping(1));
    await refused.closed;
    expect(refused.received).toEqual([quota(3)]);
    first.socket.destroy();
    await first.closed;
    const again = await until('a place', async () => {
      const client = await RawClient.connect(path, anna);
      client.send(hello({ versions: [1, 1], software: 'raw/1' }));
      await client.until('a word', () => client.received.length > 0);
      return client.received[0]?.[0] === 'hello' && client;
    });
    await again.request(ping(1));
  });

  test.skipIf(!canBeOthers)('of one user take nothing from another', async () => {
    const { path, server } = await serveLimited({ connections: 2 });
    for (let more = 0; more < 50; more++) await RawClient.connect(path, anna);
    const client = await RawClient.greet(path, ben);
    await client.request(ping(1));
    expect(server.connections.filter(({ uid }) => uid === anna?.uid)).toHaveLength(2);
  });

  test('of users who are granted nothing are few', async () => {
    const nothing = { host: { grantTo: () => undefined } };
    const { path, server } = await serve(nothing);
    const clients = [];
    for (let more = 0; more < 20; more++) clients.push(await RawClient.connect(path, anna));
    const goodbyes = clients.slice(16).map(async (client) => client.next('goodbye'));
    expect(await Promise.all(goodbyes)).toEqual(Array.from({ length: 4 }, () => quota(16)));
    expect(server.connections).toHaveLength(16);
    for (const client of clients.slice(0, 16)) {
      client.send(hello({ versions: [1, 1], software: 'raw/1' }));
      await client.closed;
      expect(client.received).toEqual([['error', null, 'not-granted', 'nobody is granted anything']]);
    }
    await until('all to be forgotten', () => server.quotas.isEmpty);
  });

  test('that began before the rules changed have the limits of their hello', async () => {
    let subscriptions = 5;
    const { path, server } = await serve({ host: { grantTo: () => granted({ subscriptions }) } });
    const client = await RawClient.connect(path);
    await until('it to be accepted', () => server.connections.length === 1);
    subscriptions = 1;
    client.send(hello({ versions: [1, 1], software: 'raw/1' }));
    await client.request(subscribe(1, {}));
    expect(await client.request(subscribe(2, {}))).toEqual(['quota', text, text]);
  });
});

describe('subscriptions', () => {
  test('beyond what a user may have are refused in whichever connection, until one ends', async () => {
    const { path, server } = await serveLimited({ subscriptions: 3 });
    const [first, second] = [await RawClient.greet(path, anna), await RawClient.greet(path, anna)];
    await first.request(subscribe(1, {}));
    await first.request(subscribe(2, {}));
    await second.request(subscribe(1, {}));
    const quota = [
      'quota',
      `the user ${uidOfAnna} has 3 subscriptions already, which is the limit`,
      expect.stringContaining('`subscriptions` in procbusd.toml'),
    ];
    expect(await second.request(subscribe(2, {}))).toEqual(quota);
    expect(await first.request(subscribe(3, {}))).toEqual(quota);
    await first.request(unsubscribe(4, 1));
    expect(await second.request(subscribe(2, {}))).toMatchObject({ seq: 0 });
    expect(await second.request(subscribe(3, {}))).toEqual(quota);
    first.socket.destroy();
    await until('it to be forgotten', () => subscriptionsOf(server) === 2);
    expect(await second.request(subscribe(3, {}))).toMatchObject({ seq: 0 });
  });

  test('that are refused for their filter cost nothing', async () => {
    const { path } = await serveLimited({ subscriptions: 1 });
    const client = await RawClient.greet(path);
    for (let request = 1; request < 5; request++) {
      expect(await client.request(subscribe(request, { pids: [] }))).toMatchObject(['bad-filter', text]);
    }
    await client.request(subscribe(1, {}));
  });

  test.skipIf(!canBeOthers)('of one user take nothing from another', async () => {
    const { path } = await serveLimited({ subscriptions: 1 });
    for (const user of [anna, ben]) {
      const client = await RawClient.greet(path, user);
      expect(await client.request(subscribe(1, {}))).toMatchObject({ seq: 0 });
    }
  });
});

describe('queued bytes', () => {
  /** Connections that have asked for everything and do not read. */
  async function hogs({ path }: Serving, count: number): Promise<RawClient[]> {
    return Promise.all(
      range(1, count).map(async () => {
        const client = await RawClient.greet(path, anna);
        // Nothing held back: so how much is queued at once is no matter of time.
        await client.request(subscribe(1, {}, { maxDelay: 0 }));
        client.socket.pause();
        return client;
      }),
    );
  }

  test('of all connections of a user are bounded together', async () => {
    const serving = await serveLimited({ queuedBytes: 512 * KiB });
    const clients = await hogs(serving, 12);
    for (let batch = 0; batch < 30; batch++) serving.publish(execs(1000));
    const [usage] = serving.server.quotas.usages();
    expect(usage?.queuedBytes).toBeGreaterThan(384 * KiB);
    expect(usage?.queuedBytes).toBeLessThanOrEqual(512 * KiB);
    for (const client of clients) client.socket.resume();
    for (const client of clients) {
      await client.request(ping(2));
      expectComplete(account(client.told(1)), range(1, 30_000), 0);
    }
    expect([...serving.server.quotas.usages()]).toMatchObject([{ queuedBytes: 0 }]);
  });

  test('that others of the user have taken: one who reads is told what it loses at once, and goes on', async () => {
    const serving = await serveLimited({ queuedBytes: 512 * KiB });
    const { publish, broadcast } = serving;
    const reader = await RawClient.greet(serving.path, anna);
    await reader.request(subscribe(1, {}));
    await reader.request(subscribe(2, { events: ['sid'] }));
    const clients = await hogs(serving, 12);
    /** Whether it was told of everything so far, be it as lost. Some may be held back for a while. */
    const isUpToDate = (): boolean => {
      const last = account(reader.told(1)).at(-1);
      return (typeof last === 'number' ? last : last?.to) === broadcast.seq;
    };
    while (serving.server.dropped < 100_000) publish(execs(4000));
    // Nothing of its own waits, and nothing will happen that could tell it later.
    await reader.until('all to be told', isUpToDate);
    expectComplete(account(reader.told(1)), range(1, broadcast.seq), 0);
    expect(lossesOf(account(reader.told(1)), 'queue')).not.toEqual([]);

    publish([eventOf('sid', 1)]);
    await reader.until('it to be told', () => reader.told(2).length === 1);
    const before = serving.server.dropped;
    for (const client of clients) client.socket.destroy();
    await until('them to be forgotten', () => serving.server.connections.length === 1);
    const lost = lossesOf(account(reader.told(1)), 'queue').length;
    publish(execs(4000));
    await reader.until('all to be told', isUpToDate);
    expect(serving.server.dropped).toBe(before);
    expect(lossesOf(account(reader.told(1)), 'queue')).toHaveLength(lost);
    expectComplete(account(reader.told(1)), range(1, broadcast.seq), 0);
  });

  test.skipIf(!canBeOthers)('of one user take nothing from another', async () => {
    const serving = await serveLimited({ queuedBytes: 2048 * KiB });
    await hogs(serving, 12);
    const reader = await RawClient.greet(serving.path, ben);
    await reader.request(subscribe(1, {}, { maxDelay: 0 }));
    for (let batch = 0; batch < 50; batch++) {
      serving.publish(execs(1000));
      await reader.request(ping(2 + batch));
    }
    expect(account(reader.told(1))).toEqual(range(1, 50_000));
    expect(serving.server.dropped).toBeGreaterThan(0);
  });
});

describe('requests', () => {
  const flood = 160;
  const rate = { requestsPerSecond: 40 };

  /** Sends a flood, and returns when the free part of it has been answered. */
  async function flooded(path: string): Promise<RawClient> {
    const client = await RawClient.greet(path, anna);
    client.send(...range(1, flood).map((request) => ping(request)));
    await client.until('some answers', () => client.received.length > 70);
    return client;
  }

  test('too many in too short a time are answered slowly, in order, all of them', async () => {
    const { path } = await serveLimited(rate);
    const began = performance.now();
    const client = await flooded(path);
    await client.until('all answers', () => client.received.length === flood + 1);
    const seconds = (performance.now() - began) / 1000;
    // So many may be spent at once as two seconds pay for.
    expect(seconds).toBeGreaterThan((flood - 2 * rate.requestsPerSecond) / rate.requestsPerSecond - 0.2);
    expect(client.received.slice(1).map(([type, request]) => [type, request])).toEqual(
      range(1, flood).map((request) => ['result', request]),
    );
  });

  test('of another connection of the same user have their turn among the flood', async () => {
    const { path } = await serveLimited(rate);
    const flooder = await flooded(path);
    const other = await RawClient.greet(path, anna);
    await other.request(ping(1));
    expect(flooder.received.length).toBeLessThan(flood);
  });

  test.skipIf(!canBeOthers)('of another user are answered at once', async () => {
    const { path } = await serveLimited(rate);
    const flooder = await flooded(path);
    for (let more = 0; more < 5; more++) {
      const began = performance.now();
      const client = await RawClient.greet(path, ben);
      await client.request(ping(1));
      await client.request(snapshot(2, {}, true));
      expect(performance.now() - began).toBeLessThan(500);
    }
    expect(flooder.received.length).toBeLessThan(flood);
  });

  test('of connections that end while they stand in line leave no trace', async () => {
    const { path, server } = await serveLimited(rate);
    const clients = [await flooded(path)];
    for (let more = 0; more < 10; more++) {
      const late = await RawClient.connect(path, anna);
      late.send(hello({ versions: [1, 1], software: 'raw/1' }), ping(1));
      clients.push(late);
    }
    await until('all to be known', () => server.connections.length === 11);
    for (const client of clients) client.socket.destroy();
    await until('all to be forgotten', () => server.quotas.isEmpty);
    const again = await RawClient.greet(path, anna);
    expect(await again.request(ping(1))).toMatchObject({ seq: 0 });
  });
});

describe('work', () => {
  test('that snapshots make is paid with time, and another user is served at once', async () => {
    const { path, publish } = await serve({
      host: { grantTo: ({ uid }) => granted(uid === uidOfAnna ? { workPerSecond: 10_000 } : {}) },
    });
    publish(execs(500));
    const client = await RawClient.greet(path, anna);
    const began = performance.now();
    const requests = range(1, 16);
    const isAnswered = (which: number): boolean =>
      client.received.some(([type, request]) => type === 'result' && request === which);
    client.send(...requests.map((request) => snapshot(request, { pids: [1] }, false)));
    await client.until('the fourth answer', () => isAnswered(4));
    if (canBeOthers) {
      const other = await RawClient.greet(path, ben);
      const asked = performance.now();
      await other.request(snapshot(1, {}, false));
      expect(performance.now() - asked).toBeLessThan(500);
    }
    await client.until('all answers', () => isAnswered(16));
    const seconds = (performance.now() - began) / 1000;
    // Looking at that many processes is paid for 10 times at once; the time that it takes comes on top of it.
    expect(seconds).toBeGreaterThan(0.25);
    const answered = client.received.filter(([type]) => type === 'result').map(([, request]) => request);
    expect(answered).toEqual(requests);
  });

  test('that replays make is paid with time, and nothing of them is left out', async () => {
    const journal = new Journal(64 * KiB * KiB);
    const serving = await serveLimited({ workPerSecond: 40_000 }, { bus: { journal } });
    const { path, publish, broadcast } = serving;
    for (let batch = 0; batch < 10; batch++) publish(execs(4000));
    const client = await RawClient.greet(path, anna);
    const began = performance.now();
    await client.request(subscribe(1, {}, { since: { epoch: broadcast.epoch, seq: 0 } }));
    await client.until('all', () => client.told(1).length === 40_000);
    expect(performance.now() - began).toBeGreaterThan(400);
    expect(account(client.told(1))).toEqual(range(1, 40_000));
  });

  test('that a replay waits for holds up nothing that ends it', async () => {
    const journal = new Journal(64 * KiB * KiB);
    const serving = await serveLimited({ workPerSecond: 20_000 }, { bus: { journal } });
    const { path, publish, broadcast, server } = serving;
    for (let batch = 0; batch < 10; batch++) publish(execs(4000));
    const since = { since: { epoch: broadcast.epoch, seq: 0 } };
    const [client, other] = [await RawClient.greet(path, anna), await RawClient.greet(path, anna)];
    await client.request(subscribe(1, {}, since));
    await other.request(subscribe(1, {}, since));
    await client.until('some', () => client.told(1).length > 1000);
    other.socket.destroy();
    await until('it to be forgotten', () => server.connections.length === 1);
    await client.request(unsubscribe(2, 1));
    expect(client.told(1).length).toBeLessThan(20_000);
    expect(account(client.told(1))).toEqual(range(1, client.told(1).length));
    expect(subscriptionsOf(server)).toBe(0);
  });
});
