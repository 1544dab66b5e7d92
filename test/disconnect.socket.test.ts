/*
 * How a connection ends, and what its readers are told of that where there is to be no other one.
 */
import { connect as connectSocket } from 'node:net';
import { frameHeader, ProcbusError, type StreamEvent } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { Bus } from '../packages/client/src/bus.ts';
import { connect } from '../packages/client/src/connect.ts';
import { Connection } from '../packages/client/src/connection.ts';
import { wireOf } from '../packages/client/src/wire.ts';
import { execs, serve, serveInReach, subscriptionsOf } from '../packages/helper/test/support/serving.ts';
import { until } from './support/condition.ts';
import { drain } from './support/reading.ts';

const stopping = new ProcbusError('stopping', 'procbusd is stopping', { remedy: 'Wait.' });
const withCode = (code: string): object => ({ name: 'ProcbusError', code });

/** The error that something fails with. */
async function failureOf(failing: Promise<unknown>): Promise<unknown> {
  return failing.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('a helper that stops', () => {
  test('is told to a reader after all that had arrived', async () => {
    const { path, publish, server } = await serve();
    const bus = await connect({ socket: path, reconnect: false });
    const watch = bus.watch();
    await watch.ready;
    for (let batch = 0; batch < 20; batch++) publish(execs(1000));
    await server.close(stopping);
    await bus.closed;
    const read: StreamEvent[] = [];
    await expect(drain(watch, read)).rejects.toMatchObject({
      code: 'stopping',
      message: 'procbusd is stopping',
      remedy: 'Wait.',
    });
    expect(read.map(({ seq }) => seq)).toEqual(Array.from({ length: 20_000 }, (_, index) => index + 1));
    await bus.close();
  });

  test('is told to readers that wait and to requests', async () => {
    const { path, server } = await serve();
    const bus = await connect({ socket: path, reconnect: false });
    const waiting = [bus.watch(), bus.watch()].map(async (watch) => drain(watch));
    await until('both to be subscribed', () => subscriptionsOf(server) === 2);
    const outcomes = Promise.allSettled(waiting);
    await server.close(stopping);
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: withCode('stopping') });
    }
    await expect(bus.ping()).rejects.toMatchObject(withCode('stopping'));
  });

  // The specification: a write may fail while there is still something to be read; read to the end.
  test('is told after all that had arrived although we were just about to ask it something', async () => {
    const serving = await serve();
    const { path, accepted } = await serveInReach(serving);
    const socket = connectSocket(path);
    const bus = new Bus(await Connection.open(wireOf(socket)));
    const watch = bus.watch();
    await watch.ready;
    socket.pause(); // As if we were too busy to read.
    serving.publish(execs(1000)); // as many as the socket holds while nobody reads
    const peer = await accepted;
    peer.session.leave(stopping);
    await until('all to be sent', () => peer.socket.writableFinished);
    const asked = failureOf(bus.ping());
    socket.resume();
    const read: StreamEvent[] = [];
    await expect(drain(watch, read)).rejects.toMatchObject(withCode('stopping'));
    expect(read).toHaveLength(1000);
    expect(await asked).toMatchObject(withCode('stopping'));
  });
});

describe('a connection that breaks', () => {
  test('is told to readers after all that had arrived, and to requests', async () => {
    const serving = await serve();
    const { path, accepted } = await serveInReach(serving);
    const bus = await connect({ socket: path, reconnect: false });
    const watch = bus.watch();
    await watch.ready;
    serving.publish(execs(100), 5);
    await until('the events', () => watch.buffered === 100);
    (await accepted).socket.destroy();
    const asked = failureOf(bus.ping());
    const read: StreamEvent[] = [];
    await expect(drain(watch, read)).rejects.toMatchObject(withCode('disconnected'));
    expect(read).toHaveLength(101);
    expect(await asked).toMatchObject(withCode('disconnected'));
    await bus.closed;
    await until('it to be unsubscribed', () => subscriptionsOf(serving.server) === 0);
  });

  test('in the middle of a frame is a connection that breaks', async () => {
    const { path, accepted } = await serveInReach(await serve());
    const bus = await connect({ socket: path, reconnect: false });
    const failure = failureOf(drain(bus.watch()));
    await bus.ping();
    (await accepted).socket.end(Buffer.concat([frameHeader(100), Buffer.alloc(50)]));
    expect(await failure).toMatchObject(withCode('disconnected'));
  });

  test.each<[string, Buffer, string]>([
    ['too long a frame', frameHeader(0x7fffffff), 'frame-too-large'],
    ['an empty frame', frameHeader(0), 'bad-frame'],
    ['garbage', Buffer.concat([frameHeader(2), Buffer.of(0xc1, 0xc1)]), 'bad-'],
    ['a malformed message', Buffer.concat([frameHeader(1), Buffer.of(0x90)]), 'bad-message'],
  ])('because the helper talks nonsense is told so: %s', async (_what, bytes, code) => {
    const { path, accepted } = await serveInReach(await serve());
    const bus = await connect({ socket: path, reconnect: false });
    const failure = failureOf(drain(bus.watch()));
    await bus.ping();
    (await accepted).socket.write(bytes);
    expect(await failure).toMatchObject({ code: expect.stringContaining(code) as unknown });
    await bus.closed;
  });
});

describe('a bus that is closed', () => {
  test('refuses requests and watches', async () => {
    const { path } = await serve();
    const bus = await connect({ socket: path });
    await bus.close();
    await bus.close();
    await expect(bus.ping()).rejects.toMatchObject(withCode('disconnected'));
    await expect(bus.stats()).rejects.toMatchObject(withCode('disconnected'));
    const watch = bus.watch();
    await expect(watch.next()).rejects.toMatchObject(withCode('disconnected'));
    await expect(watch.ready).rejects.toMatchObject(withCode('disconnected'));
    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });

  test('ends its watches and its requests, and is forgotten by the helper', async () => {
    const { path, server } = await serve();
    const bus = await connect({ socket: path });
    const watch = bus.watch();
    await watch.ready;
    const failures = [failureOf(drain(watch)), failureOf(bus.ping())];
    await bus.close();
    for (const failure of failures) expect(await failure).toMatchObject(withCode('disconnected'));
    await until('the server to forget the client', () => server.connections.length === 0);
    expect(subscriptionsOf(server)).toBe(0);
  });

  test('does not wait for a helper that has much to say', async () => {
    const { path, publish, server } = await serve();
    const bus = await connect({ socket: path });
    await bus.watch().ready;
    for (let batch = 0; batch < 25; batch++) publish(execs(4096));
    await bus.close();
    await until('the server to forget the client', () => server.connections.length === 0);
    expect(subscriptionsOf(server)).toBe(0);
  });
});
