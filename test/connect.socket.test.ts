/*
 * Connecting: to a helper, to what is none, and giving up.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { frameHeader, helperMessage, packFrame, ProcbusError } from '@procbus/protocol';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connect } from '../packages/client/src/connect.ts';
import { Connection } from '../packages/client/src/connection.ts';
import { wireOf } from '../packages/client/src/wire.ts';
import * as libc from '../packages/helper/src/libc.ts';
import { claimSocket } from '../packages/helper/src/peers/socket-path.ts';
import { RawClient } from '../packages/helper/test/support/raw-client.ts';
import { serve, subscriptionsOf } from '../packages/helper/test/support/serving.ts';
import { until } from './support/condition.ts';
import { answerAs, helperHello, listenAs, politely } from './support/impostor.ts';
import { temporaryDirectory } from './support/procbus.ts';

const stopping = new ProcbusError('stopping', 'procbusd is stopping');
const withCode = (code: string): object => ({ name: 'ProcbusError', code });

describe('a helper', () => {
  test('is greeted, and what it says of itself is kept', async () => {
    const { path, broadcast } = await serve();
    await using bus = await connect({ socket: path });
    expect(bus.hello).toMatchObject({ version: 1, epoch: broadcast.epoch, grant: { scope: 'all' } });
    expect(await bus.ping()).toMatchObject({ seq: 0 });
  });

  test('is left by `await using`', async () => {
    const { path, server } = await serve();
    let closed: Promise<void> | undefined;
    {
      await using bus = await connect({ socket: path });
      ({ closed } = bus);
      await bus.ping();
      expect(server.connections.length).toBe(1);
    }
    await closed;
    await until('the server to forget the client', () => server.connections.length === 0);
  });

  test('is connected to and left 200 times, and nothing stays open', async () => {
    const { path, server } = await serve();
    const pipes = (): number => process.getActiveResourcesInfo().filter((name) => name === 'PipeWrap').length;
    const before = pipes();
    for (let round = 0; round < 20; round++) {
      const buses = await Promise.all(Array.from({ length: 10 }, async () => connect({ socket: path })));
      const watches = buses.map((bus) => bus.watch());
      await Promise.all(watches.map(async ({ ready }) => ready));
      await Promise.all(buses.map(async (bus) => bus.close()));
    }
    await until('the server to forget them all', () => server.connections.length === 0);
    await until('all sockets to be closed', () => pipes() <= before);
    expect(subscriptionsOf(server)).toBe(0);
  });

  test('that stops before it has read our hello says why', async () => {
    const { path, server } = await serve();
    const socket = connectSocket(path);
    await once(socket, 'connect');
    const beside = await RawClient.greet(path);
    await until('both to be known', () => server.connections.length === 2);
    const closed = server.close(stopping);
    await beside.closed;
    await expect(Connection.open(wireOf(socket))).rejects.toMatchObject(withCode('stopping'));
    await closed;
  });

  test('that says goodbye in place of its hello is quoted', async () => {
    const reason = new ProcbusError('connector-namespace', 'not in the initial namespaces', {
      remedy: 'Leave.',
    });
    const socket = await answerAs(() => [helperMessage.goodbye(reason)]);
    await expect(connect({ socket })).rejects.toMatchObject({
      code: 'connector-namespace',
      message: 'not in the initial namespaces',
      remedy: 'Leave.',
    });
  });

  test('that refuses our hello is quoted, not taken for something else', async () => {
    const refusal = new ProcbusError('bad-message', 'a message is malformed: software is not a short string');
    const socket = await answerAs(() => [helperMessage.error(null, refusal)]);
    await expect(connect({ socket })).rejects.toMatchObject({
      code: 'bad-message',
      message: refusal.message,
    });
  });

  test('whose reason is of a later version is quoted as well', async () => {
    const socket = await answerAs(() => [
      helperMessage.error(null, { code: 'too-late', message: 'no more' }),
    ]);
    await expect(connect({ socket })).rejects.toMatchObject({
      code: 'internal',
      message: 'too-late: no more',
    });
  });
});

describe('a helper of another version', () => {
  test('refuses us, and the remedy is passed on', async () => {
    const error = new ProcbusError('version-mismatch', 'the helper speaks 2, the client 1', {
      remedy: 'Upgrade the client (procbus).',
    });
    const socket = await answerAs(() => [helperMessage.error(null, error)]);
    await expect(connect({ socket })).rejects.toMatchObject({
      code: 'version-mismatch',
      message: error.message,
      remedy: error.remedy,
    });
  });

  test.each<[string, object]>([
    ['whose range is not ours', { version: 3, versions: [2, 3] }],
    ['that chose a version that is not ours', { version: 2, versions: [1, 2] }],
  ])('is left, if it does not refuse us: one %s', async (_which, hello) => {
    const socket = await answerAs(() => [helperMessage.hello({ ...helperHello, ...hello })]);
    const connected = connect({ socket });
    onTestFinished(async () => connected.then(async (bus) => bus.close()).catch(() => undefined));
    await expect(connected).rejects.toMatchObject(withCode('version-mismatch'));
  });

  test('may say what we do not know, before its hello and after', async () => {
    const news = ['news', { of: ['a', 'later', 'version'] }, 1n];
    const socket = await answerAs((type, request) => [news, ...politely(type, request), news]);
    await using bus = await connect({ socket });
    expect(bus.hello).toEqual({ ...helperHello, clockOffset: 0n });
    await bus.ping();
    expect(await bus.ping()).toEqual({ seq: 0, clockOffset: 0n });
  });
});

describe('what is no helper', () => {
  test.each<[string, Buffer]>([
    ['text', Buffer.from('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')],
    ['a banner', Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n')],
    ['zeroes', Buffer.alloc(64)],
    ['a frame of garbage', Buffer.concat([frameHeader(4), Buffer.from('c1c1c1c1', 'hex')])],
    ['a frame that is no message', packFrame([1, 2, 3])],
    ['a message that is no hello', packFrame(helperMessage.result(1, null))],
  ])('is recognised by what it says: %s', async (_what, bytes) => {
    const socket = await listenAs((peer) => void peer.write(bytes));
    await expect(connect({ socket })).rejects.toMatchObject(withCode('not-a-helper'));
  });

  test('is left when it closes at once', async () => {
    const socket = await listenAs((peer) => peer.destroy());
    await expect(connect({ socket })).rejects.toMatchObject(withCode('disconnected'));
  });

  test('is not there at all, and the remedy starts one', async () => {
    const socket = join(temporaryDirectory(), 'none.sock');
    const remedy = `Start one with: procbusd --socket ${socket}`;
    await expect(connect({ socket })).rejects.toMatchObject({ code: 'no-helper', remedy });
  });

  test('has left its socket behind', async () => {
    const socket = join(temporaryDirectory(), 'stale.sock');
    libc.close((await claimSocket({ path: socket, mode: 0o600 })).fd);
    await expect(connect({ socket })).rejects.toMatchObject(withCode('no-helper'));
  });

  test('is a file', async () => {
    const socket = join(temporaryDirectory(), 'file');
    writeFileSync(socket, '');
    await expect(connect({ socket })).rejects.toMatchObject(withCode('not-a-helper'));
  });
});

describe('giving up', () => {
  const reason = new Error('enough');

  test('before the beginning makes no connection', async () => {
    let connections = 0;
    const socket = await listenAs((peer) => void peer.write(String(++connections)));
    await expect(connect({ socket, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const later = connectSocket(socket);
    onTestFinished(() => void later.destroy());
    const [number] = (await once(later, 'data')) as [Buffer];
    expect(String(number)).toBe('1');
  });

  test('before the connection stands is heard', async () => {
    const { path, server } = await serve();
    const controller = new AbortController();
    const connected = connect({ socket: path, signal: controller.signal });
    onTestFinished(async () => connected.then(async (bus) => bus.close()).catch(() => undefined));
    controller.abort(reason);
    await expect(connected).rejects.toBe(reason);
    await until('the server to forget the client', () => server.connections.length === 0);
  });

  test('on one that says nothing ends the connection', async () => {
    const controller = new AbortController();
    let ended = false;
    const socket = await listenAs((peer) => {
      // Its hello has come: it waits for ours.
      peer.once('data', () => controller.abort(reason)).once('close', () => (ended = true));
    });
    await expect(connect({ socket, signal: controller.signal })).rejects.toBe(reason);
    await until('the connection to end', () => ended);
  });

  test('later than the hellos has no effect', async () => {
    const { path } = await serve();
    const controller = new AbortController();
    await using bus = await connect({ socket: path, signal: controller.signal });
    controller.abort(reason);
    expect(await bus.ping()).toMatchObject({ seq: 0 });
  });
});
