/*
 * How long a client may take to say hello, to finish a frame that it has begun, and to go on reading a snapshot.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { clientMessage, packFrame } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { execs } from './support/bus.ts';
import { RawClient } from './support/raw-client.ts';
import { granted, serve, serveInReach, type Serving } from './support/serving.ts';

const { hello, ping, snapshot, subscribe } = clientMessage;
const helloFrame = packFrame(hello({ versions: [1, 1], software: 'raw/1' }));
const patience = 300;

const overdue = {
  hello: ['error', null, 'hello-expected', 'no hello within 0.3 s'],
  frame: ['error', null, 'bad-frame', 'half a frame within 0.3 s'],
};

async function serveImpatiently(limits: Parameters<typeof granted>[0] = {}): Promise<Serving> {
  return serve({ host: { patience, grantTo: () => granted(limits) } });
}

/** Sends bytes one by one, a few ms apart, until all are sent or the connection has ended. */
async function trickle({ socket }: RawClient, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length && !socket.closed; at++) {
    if (socket.writable) socket.write(bytes.subarray(at, at + 1));
    await sleep(20);
  }
}

describe('a client that takes its time', () => {
  test('to say hello is told so, and has to go', async () => {
    const { path, server } = await serveImpatiently();
    const began = performance.now();
    const [silent, halted] = [await RawClient.connect(path), await RawClient.connect(path)];
    halted.socket.write(helloFrame.subarray(0, -1));
    await Promise.all([silent.closed, halted.closed]);
    expect(performance.now() - began).toBeGreaterThan(patience - 10);
    expect([silent.received, halted.received]).toEqual([[overdue.hello], [overdue.hello]]);
    await until('the server to forget them', () => server.connections.length === 0);
  });

  test('to finish a frame is told so, and has to go', async () => {
    const { path } = await serveImpatiently();
    const client = await RawClient.greet(path);
    client.send(ping(1));
    client.socket.write(packFrame(ping(2)).subarray(0, 1));
    await client.closed;
    expect(client.received.slice(1)).toEqual([['result', 1, expect.anything()], overdue.frame]);
  });

  test.each<[string, string, Buffer, readonly unknown[]]>([
    ['a hello', 'connect', helloFrame, overdue.hello],
    ['a frame', 'greet', packFrame([...ping(1), 'more'.repeat(20)]), overdue.frame],
  ])('and sends %s byte by byte gets no more of it', async (_what, how, bytes, told) => {
    const { path } = await serveImpatiently();
    const client = how === 'connect' ? await RawClient.connect(path) : await RawClient.greet(path);
    const began = performance.now();
    await trickle(client, bytes);
    await client.closed;
    expect(performance.now() - began).toBeLessThan(20 * bytes.length);
    expect(client.received.at(-1)).toEqual(told);
  });
});

describe('a client that is sent a snapshot', () => {
  const isSent = ({ server }: Serving): boolean =>
    server.connections.every(({ queuedBytes }) => queuedBytes > 0);

  test('and does not go on reading is told so, and has to go', async () => {
    const serving = await serveImpatiently();
    serving.publish(execs(10_000));
    const client = await RawClient.greet(serving.path);
    client.socket.pause();
    client.send(snapshot(1, {}, false));
    await until('it to be sent', () => isSent(serving));
    // It has a second to read why.
    await sleep(patience + 200);
    client.socket.resume();
    await client.closed;
    expect(client.received.some(([type]) => type === 'result')).toBe(false);
    const message = 'what was asked for in request 1 was not read for 0.3 s';
    expect(client.received.at(-1)).toEqual(['goodbye', 'lagged', message, expect.any(String)]);
  });

  test('gets it, however long that takes, if it goes on reading', async () => {
    const serving = await serveImpatiently();
    serving.publish(execs(10_000));
    const client = await RawClient.greet(serving.path);
    const began = performance.now();
    client.socket.pause();
    client.send(snapshot(1, {}, false));
    await until('it to be sent', () => isSent(serving));
    const reading = setInterval(() => client.socket.resume().once('data', () => client.socket.pause()), 20);
    await client.next('result');
    clearInterval(reading);
    expect(performance.now() - began).toBeGreaterThan(patience);
    const parts = client.received.filter(([type]) => type === 'processes');
    expect(parts.flatMap(([, , processes]) => processes as unknown[])).toHaveLength(10_000);
  });
});

describe('a client stays that', () => {
  test('says hello in time, and then nothing', async () => {
    const { path } = await serveImpatiently();
    const client = await RawClient.connect(path);
    client.socket.write(helloFrame.subarray(0, 5));
    await sleep(patience / 2);
    client.socket.write(helloFrame.subarray(5));
    await client.next('hello');
    await sleep(2 * patience);
    expect(await client.request(ping(1))).toMatchObject({ seq: 0 });
  });

  test('sends frame behind frame, each of which begins in the piece that ends the one before', async () => {
    const { path } = await serveImpatiently();
    const client = await RawClient.greet(path);
    const frames = Buffer.concat(Array.from({ length: 12 }, (_, index) => packFrame(ping(index + 1))));
    const size = frames.length / 12;
    for (let at = 0; at < frames.length; at += size - 1) {
      client.socket.write(frames.subarray(at, at + size - 1));
      await sleep(patience / 4);
    }
    await client.until('all answers', () => client.received.length > 12);
    expect(client.received.at(-1)).toMatchObject(['result', 12, {}]);
  });

  test('stands in the line of the requests of its user', async () => {
    const { path } = await serveImpatiently({ requestsPerSecond: 5 });
    const flooder = await RawClient.greet(path);
    const client = await RawClient.greet(path);
    flooder.send(...Array.from({ length: 14 }, (_, index) => ping(index + 1)));
    await flooder.until('the first answers', () => flooder.received.length > 4);
    const late = await RawClient.connect(path);
    late.socket.write(helloFrame);
    client.socket.write(packFrame(ping(1)).subarray(0, -1));
    const began = performance.now();
    await late.next('hello');
    expect(performance.now() - began).toBeGreaterThan(patience);
    expect(client.socket.closed).toBe(false);
    client.socket.write(packFrame(ping(1)).subarray(-1));
    await client.next('result');
  });

  test('has not read what is waiting for it, for as long as its requests wait for that', async () => {
    const serving = await serveImpatiently();
    const { path, accepted } = await serveInReach(serving);
    const client = await RawClient.greet(path);
    const { socket } = await accepted;
    await client.request(subscribe(1, {}, { maxDelay: 0 }));
    client.socket.pause();
    client.socket.write(packFrame(ping(2)).subarray(0, -1));
    await until('half a frame to be there', () => socket.bytesRead === client.socket.bytesWritten);
    while (!socket.writableNeedDrain) serving.publish(execs(256));
    client.socket.write(packFrame(ping(2)).subarray(-1));
    await sleep(2 * patience);
    client.socket.resume();
    expect(await client.next('result')).toMatchObject(['result', 2, {}]);
  });
});
