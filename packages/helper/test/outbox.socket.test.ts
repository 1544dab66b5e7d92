/*
 * Clients that read too slowly: what they are told, and what they are told of the rest.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { clientMessage, matches, pack, parseFilter, type KernelEvent, type Loss } from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { temporaryDirectory } from '../../../test/support/procbus.ts';
import type { Delivery } from '../src/bus/receiver.ts';
import { lifeOf } from '../src/bus/view.ts';
import { defaultOutboxLimit, Outbox } from '../src/peers/outbox.ts';
import { defaultLimits, Quotas, type Share } from '../src/peers/quota.ts';
import type { Told } from '../src/processes/told.ts';
import { account, expectComplete, lossesOf } from './support/account.ts';
import { batchOf, eventOf, execs, introduce, makeBus, root } from './support/bus.ts';
import { RawClient } from './support/raw-client.ts';
import { serve, serveInReach, subscriptionsOf, type Serving } from './support/serving.ts';

const { ping, subscribe, unsubscribe } = clientMessage;

/** Half of them exec, half of them sid. */
const mixed: KernelEvent[] = execs(4096).map((event, index) =>
  index % 2 === 0 ? event : eventOf('sid', event.pid),
);

/** Publishes until somebody has lost events, and `more` batches beyond. */
function overflow({ publish, server }: Serving, more = 0): void {
  const { dropped } = server;
  for (let left = more; left >= 0;) {
    publish(mixed);
    if (server.dropped > dropped) left--;
  }
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);
const odd = (seq: number): boolean => seq % 2 === 1;

/** Lets a client read all that waits for it. */
async function readOut(client: RawClient, request: number): Promise<void> {
  client.socket.resume();
  await client.request(ping(request));
}

describe('a client that does not read', () => {
  test('is told in each subscription how many events it lost, exactly and in their place', async () => {
    const serving = await serve();
    const client = await RawClient.greet(serving.path);
    await client.request(subscribe(1, {}));
    await client.request(subscribe(2, { events: ['exec'] }));
    client.socket.pause();
    overflow(serving, 5);
    await readOut(client, 3);
    serving.publish(mixed);

    const last = serving.broadcast.seq;
    // Half a batch may be held back for a while.
    await client.hears(2, last - 1);
    const [all, some] = [account(client.told(1)), account(client.told(2))];
    expectComplete(all, range(1, last), 0);
    expectComplete(some, range(1, last).filter(odd), 0);
    expect([all.at(-1), some.at(-1)]).toEqual([last, last - 1]);
    const counts = [all, some].flatMap((told) => lossesOf(told, 'queue')).map(({ count }) => count);
    expect(counts).toHaveLength(2);
    expect(serving.server.dropped).toBe(counts.reduce((sum, count) => sum + count, 0));
  });

  test('is told each time that it falls behind', async () => {
    const serving = await serve();
    const client = await RawClient.greet(serving.path);
    await client.request(subscribe(1, {}));
    for (let round = 0; round < 3; round++) {
      client.socket.pause();
      overflow(serving, round);
      await readOut(client, 10 + round);
    }
    const told = account(client.told(1));
    expectComplete(told, range(1, serving.broadcast.seq), 0);
    expect(lossesOf(told, 'queue')).toHaveLength(3);
  });

  test('is told of losses in the kernel apart, with their own count', async () => {
    const serving = await serve();
    const client = await RawClient.greet(serving.path);
    await client.request(subscribe(1, {}));
    client.socket.pause();
    overflow(serving);
    serving.publish([], 10);
    serving.publish(mixed, 5);
    await readOut(client, 2);

    const { seq } = serving.broadcast;
    const kernel = [...range(seq - 4096 - 14, seq - 4096 - 5), ...range(seq - 4, seq)];
    const matching = range(1, seq).filter((number) => !kernel.includes(number));
    const told = account(client.told(1));
    expectComplete(told, matching, 15);
    expect(lossesOf(told, 'kernel')).toEqual([
      { where: 'kernel', count: 15, from: kernel[0], to: kernel.at(-1) },
    ]);
  });

  test('delays nobody: one who reads beside it gets everything', async () => {
    const serving = await serve();
    const [slow, fast] = [await RawClient.greet(serving.path), await RawClient.greet(serving.path)];
    for (const client of [slow, fast]) await client.request(subscribe(1, {}));
    slow.socket.pause();
    for (let round = 0; serving.server.dropped === 0; round++) {
      for (let batch = 0; batch < 8; batch++) serving.publish(mixed);
      await fast.request(ping(2 + round));
    }
    const { seq } = serving.broadcast;
    expect(account(fast.told(1))).toEqual(range(1, seq));
    await readOut(slow, 2);
    expectComplete(account(slow.told(1)), range(1, seq), 0);
  });

  test('is told all of a subscription that it ends meanwhile, and a new one begins behind it', async () => {
    const serving = await serve();
    const client = await RawClient.greet(serving.path);
    for (const request of [1, 2]) await client.request(subscribe(request, {}));
    client.socket.pause();
    overflow(serving, 1);
    client.send(unsubscribe(3, 1), unsubscribe(4, 2), subscribe(2, { events: ['exec'] }, { maxDelay: 0 }));
    await until('it to be sent', () => client.socket.writableLength === 0);
    serving.publish(mixed);
    const { seq } = serving.broadcast;
    await readOut(client, 5);
    serving.publish(mixed);
    await readOut(client, 6);

    const answer = client.received.findIndex(([type, request]) => type === 'result' && request === 3);
    const behind = client.received.slice(answer).filter(([type]) => type !== 'result');
    expect(behind.filter(([, subscription]) => subscription === 1)).toEqual([]);
    expectComplete(account(client.told(1)), range(1, seq), 0);
    const ofNew = account(client.told(2)).filter((item) => typeof item === 'number' && item > seq);
    expect(ofNew).toEqual(range(seq + 1, seq + 4096).filter(odd));
    expect(subscriptionsOf(serving.server)).toBe(1);
  });

  test('has bounded memory for losses in the kernel too, and their count stays right', async () => {
    const serving = await serve();
    const { path, accepted } = await serveInReach(serving);
    const client = await RawClient.greet(path);
    const { socket } = await accepted;
    await client.request(subscribe(1, { events: ['coredump'] }));
    client.socket.pause();
    const losses = 200_000;
    for (let loss = 0; loss < losses; loss++) serving.publish([], 1);
    expect(socket.writableLength).toBeLessThan(defaultOutboxLimit + 1024);
    await readOut(client, 2);
    expectComplete(account(client.told(1)), [], losses);
  });
});

describe('a client for which little waits', () => {
  const packed = pack(['x'.repeat(64 * 1024)]);
  const delivery = { seq: 9, clockOffset: 0n, kernelTime: 0n, packed, count: 3, from: 4, to: 9 };
  const [lost, events] = [
    ['lost', 1, 0, 0, 'queue', 3, 4, 9],
    ['events', 1, 9, 0, [expect.any(String)]],
  ];

  /** The outbox of a client that has read all but a little, and was to be told more than fits. */
  async function overfilled(): Promise<{ client: RawClient; outbox: Outbox; socket: Socket }> {
    const path = join(temporaryDirectory(), 'outbox.sock');
    const listener = createServer().listen(path);
    onTestFinished(() => void listener.close());
    const accepted = once(listener, 'connection');
    const client = await RawClient.connect(path);
    client.socket.pause();
    const [socket] = (await accepted) as [Socket];
    const outbox = new Outbox(socket, { queue: () => undefined, isQueueFull: () => false }, 64 * 1024);
    while (socket.writableLength === 0) outbox.send(['padding', 'x'.repeat(1000)]);
    expect(socket.writableNeedDrain).toBe(false);
    expect(outbox.deliver(1, delivery)).toBe(false);
    return { client, outbox, socket };
  }

  test('is told what did not fit as soon as it has read that', async () => {
    const { client, outbox, socket } = await overfilled();
    client.socket.resume();
    expect(await client.next('lost')).toEqual(lost);
    // Where nothing waits, even that fits.
    expect(outbox.deliver(1, delivery)).toBe(true);
    expect(await client.next('events')).toMatchObject(events);
    socket.destroy();
  });

  test('is told what did not fit before what comes behind it from the journal', async () => {
    const { client, outbox, socket } = await overfilled();
    outbox.replay(1, delivery);
    client.socket.resume();
    await client.next('events');
    expect(client.received.filter(([type]) => type !== 'padding')).toMatchObject([lost, events]);
    socket.destroy();
  });
});

/**
 * What may happen to an outbox: batches come, the client reads a little, or all there is; other connections of
 * its user queue all that they may, and are read.
 */
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ events: fc.nat({ max: 3000 }), lost: fc.constantFrom(0, 0, 0, 1, 7) }),
  },
  ...(['sip', 'drink up', 'others fill up', 'others are read'] as const).map((what, index) => ({
    weight: index === 0 ? 3 : 1,
    arbitrary: fc.constant(what),
  })),
);

test('however a client reads, events told and events counted as lost are all that matched', async () => {
  const path = join(temporaryDirectory(), 'outbox.sock');
  const listener = createServer().listen(path);
  onTestFinished(() => void listener.close());
  const overflows = { own: 0, ofUser: 0 };

  const property = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
    const accepted = once(listener, 'connection');
    const client = await RawClient.connect(path);
    client.socket.pause();
    const [socket] = (await accepted) as [Socket];
    const quotas = new Quotas();
    const limits = { ...defaultLimits, queuedBytes: 1024 * 1024 };
    const [share, others] = [quotas.open(1, limits), quotas.open(1, limits)] as [Share, Share];
    // More than the largest batch takes: what waits can be read, and then there is room again.
    const outbox = new Outbox(socket, share, 384 * 1024);
    const { broadcast, table } = makeBus();
    introduce(table, mixed);
    const subscriptions = [{}, { events: ['sid'] }, { events: ['exec'], threads: true }].map(
      (request, index) => ({
        id: index + 1,
        request,
        filter: parseFilter(request),
        matching: [] as number[],
      }),
    );
    for (const { id, request } of subscriptions) {
      const receiver = {
        deliver: (delivery: Delivery) => void outbox.deliver(id, delivery),
        lose: (loss: Loss) => outbox.lose(id, loss),
        hasRoom: () => true,
      };
      broadcast.subscribe(request, root, { maxDelay: 10 * (id - 1) }, receiver).begin();
    }
    let dropped = 0;
    /** Notes of each event who is to be told of it. */
    function* noted(events: KernelEvent[]): Generator<Told> {
      let { seq } = broadcast;
      for (const told of table.follow(events)) {
        const { event, process } = told;
        seq++;
        for (const { filter, matching } of subscriptions) {
          if (matches(filter, event, process, lifeOf(event, process))) matching.push(seq);
        }
        yield told;
      }
    }
    const publish = (events: KernelEvent[], lost: number): void => {
      const before = outbox.dropped;
      broadcast.publish({ ...batchOf(lost), events: noted(events) });
      dropped += lost;
      if (outbox.dropped > before) overflows[socket.writableLength > 0 ? 'own' : 'ofUser']++;
    };
    const drinkUp = async (): Promise<void> => {
      client.socket.resume();
      await until(
        'all to be read',
        () => !socket.writableNeedDrain && client.socket.bytesRead === socket.bytesWritten,
      );
      client.socket.pause();
    };

    for (const next of steps) {
      if (next === 'drink up') await drinkUp();
      else if (next === 'others fill up') others.queue(Math.max(0, limits.queuedBytes - used(quotas)));
      else if (next === 'others are read') others.queue(-others.usage.queuedBytes);
      else if (next === 'sip') {
        const { bytesRead } = client.socket;
        if (socket.writableLength === 0) continue;
        client.socket.resume();
        await client.until('something', () => client.socket.bytesRead > bytesRead);
        client.socket.pause();
      } else publish(mixed.slice(0, next.events), next.lost);
      expect(outbox.queuedBytes).toBe(socket.writableLength);
      expect(share.usage.queuedBytes).toBe(socket.writableLength);
    }
    others.queue(-others.usage.queuedBytes);
    await drinkUp();
    publish([eventOf('exec', 1), eventOf('sid', 1), eventOf('exec', 1, 2)], 0);
    broadcast.close();
    await drinkUp();

    const sums = { told: 0, lost: 0 };
    for (const { id, matching } of subscriptions) {
      const told = account(client.told(id));
      expectComplete(told, matching, dropped);
      expect(told.at(-1)).toBe(matching.at(-1));
      sums.told += told.filter((item) => typeof item === 'number').length;
      sums.lost += lossesOf(told, 'queue').reduce((sum, { count }) => sum + count, 0);
    }
    expect({ told: outbox.delivered, lost: outbox.dropped }).toEqual(sums);
    expect([used(quotas), outbox.lag]).toEqual([0, 0]);

    client.socket.pause();
    for (let batch = 0; batch < 4; batch++) publish(mixed.slice(0, 3000), 0);
    expect(used(quotas)).toBeGreaterThan(0);
    socket.destroy();
    client.socket.destroy();
    await Promise.all([once(socket, 'close'), client.closed]);
    outbox.close();
    share.close();
    others.close();
    expect(quotas.isEmpty).toBe(true);
  });
  await fc.assert(property, { numRuns: 15 });
  expect(overflows.own).toBeGreaterThan(2);
  expect(overflows.ofUser).toBeGreaterThan(2);
});

/** Bytes that are charged to all. */
function used(quotas: Quotas): number {
  return [...quotas.usages()].reduce((sum, { queuedBytes }) => sum + queuedBytes, 0);
}
