/*
 * Clients that come and go at any moment: nothing of them stays.
 */
import { clientMessage, frameHeader, packFrame } from '@procbus/protocol';
import { expect, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { Journal } from '../src/bus/journal.ts';
import { ownInterest } from '../src/kernel/socket-filter.ts';
import { eventOf, execs } from './support/bus.ts';
import { canBeOthers } from './support/impersonate.ts';
import { openDescriptors } from './support/listening.ts';
import { RawClient } from './support/raw-client.ts';
import { granted, serve, subscriptionsOf, type Serving } from './support/serving.ts';

const { goodbye, hello, ping, snapshot, stats, subscribe, unsubscribe } = clientMessage;
const greeting = hello({ versions: [1, 1], software: 'raw/1' });

/** A generator of numbers that a test can repeat; see xorshift. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** What a client does until it goes. */
const lives: ((client: RawClient, serving: Serving, random: (below: number) => number) => void)[] = [
  () => undefined,
  ({ socket }, _, random) => void socket.write(packFrame(greeting).subarray(0, 1 + random(20))),
  (client) => {
    client.send(greeting);
    client.socket.write(packFrame(ping(1)).subarray(0, -1));
  },
  (client) => client.send(greeting, subscribe(1, { subtree: [1] }), subscribe(2, { threads: true }), ping(3)),
  (client) => client.send(greeting, snapshot(1, {}, true), snapshot(2, {}, true), ping(3)),
  (client, { broadcast }) => {
    const since = { epoch: broadcast.epoch, seq: broadcast.journal.oldest };
    client.send(greeting, subscribe(1, {}, { since }), subscribe(2, { threads: true }, { sinceTime: 0n }));
  },
  (client) => client.send(greeting, ...Array.from({ length: 50 }, (_, index) => ping(index + 1))),
  (client) => client.send(greeting, subscribe(1, {}, { onLag: 'disconnect', maxDelay: 0 }), stats(2)),
  (client) => client.send(greeting, subscribe(1, {}), unsubscribe(2, 1), subscribe(1, {}), goodbye()),
  (client) => {
    client.send(greeting, subscribe(1, {}));
    client.socket.write(frameHeader(2 ** 24));
  },
  (client) => client.send(ping(1)),
  (client) => {
    client.send(greeting, snapshot(1, {}, true), subscribe(2, {}));
    client.socket.end();
  },
];

/** How it goes. */
const ends: ((client: RawClient) => void)[] = [
  ({ socket }) => void socket.destroy(),
  ({ socket }) => void socket.resume().end(),
  (client) => {
    client.socket.resume();
    if (client.socket.writable) client.send(goodbye());
  },
];

test('300 clients that come and go at any moment leave nothing behind', async () => {
  const rates = {
    connections: 60,
    requestsPerSecond: 2000,
    queuedBytes: 2 * 2 ** 20,
    workPerSecond: 500_000,
  };
  const serving = await serve({
    proc: { imageOf: ({ pid }) => ({ comm: 'x', args: [String(pid), 'x'.repeat(500)], detail: 'complete' }) },
    host: { grantTo: () => granted(rates), outboxLimit: () => 128 * 1024, patience: 200 },
    bus: { journal: new Journal(3 * 2 ** 20) },
  });
  const { path, publish, server, broadcast, table } = serving;
  publish(execs(600));
  const [descriptors, resources] = [openDescriptors(), activeResources()];
  const random = randomNumbers(20_251_122);
  const clients: RawClient[] = [];
  for (let round = 0; round < 300; round++) {
    const uid = 54_321 + random(7);
    const client = await RawClient.connect(path, canBeOthers ? { uid } : undefined);
    clients.push(client);
    if (random(2) === 0) client.socket.pause();
    lives[random(lives.length)]?.(client, serving, random);
    if (random(6) === 0) publish(random(2) === 0 ? [eventOf('sid', 1 + random(100))] : execs(300), random(2));
    if (random(10) === 0) server.regrant();
    if (random(4) !== 0) await new Promise((resolve) => setImmediate(resolve));
    if (random(3) === 0) ends[random(ends.length)]?.(clients[random(clients.length)] as RawClient);
  }
  for (const client of clients) ends[random(ends.length)]?.(client);
  for (const client of clients) client.socket.resume();
  await until('all to have gone', () => clients.every(({ socket }) => socket.closed));

  await until('the helper to forget them', () => server.quotas.isEmpty && server.connections.length === 0);
  expect(subscriptionsOf(server)).toBe(0);
  expect(broadcast.interest).toEqual(ownInterest);
  expect([...table.all()].filter(({ subtrees }) => subtrees.size > 0)).toEqual([]);
  await until('all descriptors to be closed', () => openDescriptors() === descriptors);
  await until('all timers and streams to have ended', () =>
    [...activeResources()].every(([what, count]) => count <= (resources.get(what) ?? 0)),
  );
});

/** What keeps the event loop alive: how many of each kind. */
function activeResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const what of process.getActiveResourcesInfo()) counts.set(what, (counts.get(what) ?? 0) + 1);
  return counts;
}
