/*
 * Clients beside one another: what one does, or does not do, costs nobody else anything.
 */
import { clientMessage, frameHeader, packFrame, ProcbusError } from '@procbus/protocol';
import { expect, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { ownInterest } from '../src/kernel/socket-filter.ts';
import { eventOf, execs } from './support/bus.ts';
import { RawClient } from './support/raw-client.ts';
import { granted, serve, serveInReach } from './support/serving.ts';

const { ping, subscribe } = clientMessage;
const stopping = new ProcbusError('stopping', 'procbusd is stopping', { remedy: 'Wait.' });
const farewell = ['goodbye', 'stopping', 'procbusd is stopping', 'Wait.'];

test('half a frame, held forever, delays nobody else', async () => {
  const { path, publish } = await serve();
  const [halted, silent] = [await RawClient.greet(path), await RawClient.connect(path)];
  await halted.request(subscribe(1, {}));
  halted.socket.write(packFrame(ping(2)).subarray(0, -1));
  silent.socket.write(frameHeader(1000).subarray(0, 3));

  const client = await RawClient.greet(path);
  await client.request(subscribe(1, {}));
  publish([eventOf('exec', 1)]);
  await client.next('events');
  // It is still told what it asked for, and its other half is still welcome.
  await halted.next('events');
  halted.socket.write(packFrame(ping(2)).subarray(-1));
  await halted.until('the answer to ping', () => halted.received.length === 4);
  expect(halted.received.at(-1)).toMatchObject(['result', 2, { seq: 1 }]);
});

test('a client that disappears in the middle of a frame is unsubscribed', async () => {
  const { path, broadcast, server } = await serve();
  const client = await RawClient.greet(path);
  await client.request(subscribe(1, { events: ['exec'], threads: true }));
  await client.request(subscribe(2, { events: ['ptrace'], threads: true }));
  expect(broadcast.interest).toEqual({ ...ownInterest, threads: new Set(['exec', 'ptrace']) });
  client.socket.write(packFrame(ping(3)).subarray(0, -1), () => client.socket.destroy());
  await until('nothing to be of interest', () => broadcast.interest.threads.size === 0);
  expect(broadcast.interest).toEqual(ownInterest);
  await until('the server to forget the client', () => server.connections.length === 0);
});

test('a client that disappears with much unread is unsubscribed, and what it lost still counts', async () => {
  const { path, broadcast, publish, server } = await serve();
  const client = await RawClient.greet(path);
  await client.request(subscribe(1, {}));
  client.socket.pause();
  for (let batch = 0; batch < 50; batch++) publish(execs(4096));
  const { dropped } = server;
  expect(dropped).toBeGreaterThan(0);
  client.socket.destroy();
  await until('the server to forget the client', () => server.connections.length === 0);
  expect(broadcast.interest).toEqual(ownInterest);
  expect(server.dropped).toBe(dropped);
});

test('a client that has shut down its own side gets its answers before the end', async () => {
  const { path } = await serve();
  const client = await RawClient.greet(path);
  const requests = Array.from({ length: 1000 }, (_, index) => packFrame(ping(index + 1)));
  client.socket.end(Buffer.concat(requests));
  await client.closed;
  expect(client.received).toHaveLength(1001);
});

test('a client that has shut down its own side is told nothing more, and may read what waits for it', async () => {
  const serving = await serve();
  const { path, accepted } = await serveInReach(serving);
  const client = await RawClient.greet(path);
  const { socket, session } = await accepted;
  await client.request(subscribe(1, {}, { maxDelay: 0 }));
  client.socket.pause();
  while (socket.writableLength === 0) serving.publish(execs(10));
  const { seq } = serving.broadcast;
  client.socket.end(packFrame(ping(2)));
  await until('it to be unsubscribed', () => session.figures.subscriptions === 0);
  expect(socket.closed).toBe(false);
  serving.publish(execs(10));
  client.socket.resume();
  await client.closed;
  expect(client.told(1)).toHaveLength(seq);
  expect(client.received.at(-1)).toMatchObject(['result', 2, { seq }]);
});

test('a flood of pings from a client that does not read stays outside, and is answered in the end', async () => {
  const serving = await serve({ host: { grantTo: () => granted({ requestsPerSecond: 1e9 }) } });
  const { path, accepted } = await serveInReach(serving);
  const flood = 200_000;
  const client = await RawClient.greet(path);
  const { socket, session } = await accepted;
  let mostHeld = 0;
  let timesPaused = 0;
  socket.on('data', () => {
    mostHeld = Math.max(mostHeld, socket.writableLength);
    if (session.outbox.full && socket.isPaused()) timesPaused++;
  });
  client.socket.pause();
  for (let request = 1; request <= flood; request++) client.send(ping(request));
  await until('the flood to be held back', () => timesPaused > 0);
  const beside = await RawClient.greet(serving.path);
  await beside.request(ping(1));
  expect(client.socket.writableLength).toBeGreaterThan(0);

  client.socket.resume();
  await client.until('all answers', () => client.received.length > flood);
  const answered = client.received.slice(1).map(([, request]) => request);
  expect(answered).toEqual(Array.from({ length: flood }, (_, index) => index + 1));
  // One piece of 64 KiB is some 5,000 pings, and their answers are all that it may hold.
  expect(mostHeld).toBeLessThan(1024 * 1024);
  expect(serving.server.connections).toHaveLength(1);
});

test('a server that closes says goodbye to all, whatever they are about', async () => {
  const { path, broadcast, publish, server } = await serve();
  const [idle, subscribed, silent, halted] = await Promise.all([
    RawClient.greet(path),
    RawClient.greet(path),
    RawClient.connect(path),
    RawClient.greet(path),
  ]);
  await subscribed.request(subscribe(1, {}));
  halted.socket.write(packFrame(ping(2)).subarray(0, -1));
  await until('all to be known', () => server.connections.length === 4);
  publish(execs(10));
  await server.close(stopping);
  expect(server.connections.length).toBe(0);
  expect(broadcast.interest).toEqual(ownInterest);
  await Promise.all([idle, subscribed, silent, halted].map(async ({ closed }) => closed));
  for (const { received } of [idle, subscribed, silent, halted]) expect(received.at(-1)).toEqual(farewell);
  expect(subscribed.told(1)).toHaveLength(10);
  await expect(RawClient.connect(path)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('a server that closes does not wait for a client that never reads', async () => {
  const { path, publish, server } = await serve();
  const [stuck, reader] = [await RawClient.greet(path), await RawClient.greet(path)];
  await stuck.request(subscribe(1, {}));
  stuck.socket.pause();
  for (let batch = 0; batch < 40; batch++) publish(execs(4096));
  await server.close(stopping);
  expect(server.connections.length).toBe(0);
  await reader.closed;
  expect(reader.received.at(-1)).toEqual(farewell);
}, 10_000);
