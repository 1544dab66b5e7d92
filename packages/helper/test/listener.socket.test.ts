/*
 * Accepting connections, and refusing them.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { clientMessage, packFrame, ProcbusError } from '@procbus/protocol';
import { describe, expect, onTestFinished, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { inRepository, Program } from '../../../test/support/program.ts';
import * as libc from '../src/libc.ts';
import { Listener } from '../src/peers/listener.ts';
import { listen, listeningSocket, openDescriptors, type Listening } from './support/listening.ts';
import { RawClient } from './support/raw-client.ts';

const hello = clientMessage.hello({ versions: [1, 1], software: 'raw/1' });
const refusal = new ProcbusError('quota', 'too many', { remedy: 'Go away.' });
const told = ['goodbye', 'quota', 'too many', 'Go away.'];

/** Connects many times, as fast as the listener's queue takes it. */
async function connectMany(path: string, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const some = Array.from({ length: Math.min(100, count - sockets.length) }, () => connect(path));
    for (const socket of some) socket.on('error', () => undefined);
    await Promise.all(some.map(async (socket) => once(socket, 'connect')));
    sockets.push(...some);
  }
  onTestFinished(() => sockets.forEach((socket) => socket.destroy()));
  return sockets;
}

/** A listener that refuses all, and counts how often it was asked why. */
function refusing(): Listening & { readonly asked: number; readonly refused: number } {
  let [asked, refused] = [0, 0];
  const listening = listen(({ fd, peer }, { listener }) => {
    refused++;
    listener.refuse(fd, peer, () => {
      asked++;
      return refusal;
    });
    return 'taken';
  });
  return Object.defineProperties(listening as Listening & { asked: number; refused: number }, {
    asked: { get: () => asked },
    refused: { get: () => refused },
  });
}

describe('accepting', () => {
  test('gives each connection away with who made it, in the order of connecting', async () => {
    const { path, accepted } = listen();
    const clients = await connectMany(path, 3);
    await until('three connections', () => accepted.length === 3);
    for (const { peer } of accepted) {
      expect(peer).toMatchObject({ pid: process.pid, uid: process.geteuid?.(), gid: process.getegid?.() });
    }
    for (const [at, { fd }] of accepted.entries()) {
      libc.send(fd, Buffer.from(`you are ${at}`));
      const [data] = (await once(clients[at] as Socket, 'data')) as [Buffer];
      expect(data.toString()).toBe(`you are ${at}`);
    }
  });

  test('takes those who wait already, and those who have gone again', async () => {
    const { path, fd } = listeningSocket();
    const [stays, gone] = await connectMany(path, 2);
    gone?.destroy();
    await once(gone as Socket, 'close');
    const accepted: number[] = [];
    const listener = new Listener(fd, (connection) => accepted.push(connection));
    onTestFinished(() => {
      listener.close();
      for (const one of accepted) libc.close(one);
    });
    await until('both', () => accepted.length === 2);
    expect(stays?.destroyed).toBe(false);
  });

  test('never waits for connections, also where the socket was handed over as one that does', async () => {
    const { path, fd } = listeningSocket(0);
    let accepted = 0;
    const listener = new Listener(fd, (connection) => {
      accepted++;
      libc.close(connection);
    });
    onTestFinished(() => listener.close());
    for (let count = 1; count <= 3; count++) {
      await connectMany(path, 1);
      await until('the connection', () => accepted === count);
    }
    expect(accepted).toBe(3);
  });

  test('lets other work have its turn between a few connections', async () => {
    let [inTurn, most] = [0, 0];
    const { path, fd } = listeningSocket();
    await connectMany(path, 1000);
    let accepted = 0;
    const listener = new Listener(fd, (connection) => {
      libc.close(connection);
      accepted++;
      if (inTurn++ === 0) setImmediate(() => ([most, inTurn] = [Math.max(most, inTurn), 0]));
    });
    onTestFinished(() => listener.close());
    await until('all', () => accepted === 1000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(most).toBe(32);
  });

  test('ends with close, and what was accepted goes on', async () => {
    const { path, listener, accepted } = listen();
    const [client] = await connectMany(path, 1);
    await until('the connection', () => accepted.length === 1);
    listener.close();
    listener.close();
    await expect(RawClient.connect(path)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    libc.send(accepted[0]?.fd as number, Buffer.from('still here'));
    const [data] = (await once(client as Socket, 'data')) as [Buffer];
    expect(data.toString()).toBe('still here');
  });

  test('ends in the middle of many connections', async () => {
    const { path, fd } = listeningSocket();
    const clients = await connectMany(path, 100);
    let accepted = 0;
    const listener = new Listener(fd, (connection) => {
      libc.close(connection);
      if (++accepted === 50) listener.close();
    });
    await until('all clients to know', () => clients.every(({ destroyed }) => destroyed));
    expect(accepted).toBe(50);
  });
});

describe('refusing', () => {
  test('tells the reason to a client that says hello at once, and to one that takes its time', async () => {
    const { path } = refusing();
    const [quick, slow] = [await RawClient.connect(path), await RawClient.connect(path)];
    quick.send(hello);
    await quick.until('the reason', () => quick.received.length > 0);
    await slow.until('the reason', () => slow.received.length > 0);
    slow.send(hello);
    await Promise.all([quick.closed, slow.closed]);
    expect([quick.received, slow.received]).toEqual([[told], [told]]);
  });

  test('tells it to a client that says hello and shuts down its side', async () => {
    const { path } = refusing();
    const client = await RawClient.connect(path);
    client.socket.end(packFrame(hello));
    await client.closed;
    expect(client.received).toEqual([told]);
  });

  test('gives up a client that does not leave', async () => {
    const listening = refusing();
    const before = openDescriptors();
    const client = connect({ path: listening.path, allowHalfOpen: true });
    onTestFinished(() => void client.destroy());
    await once(client, 'end', { signal: (client.resume(), AbortSignal.timeout(5000)) });
    expect(openDescriptors()).toBe(before + 2);
    await until('the end', () => openDescriptors() === before + 1, 5000);
  });

  test('makes no reason for the seventeenth at a time, and does again when the others have gone', async () => {
    const listening = refusing();
    const sockets = Array.from({ length: 20 }, () => connect({ path: listening.path, allowHalfOpen: true }));
    for (const socket of sockets) socket.on('error', () => undefined).resume();
    onTestFinished(() => sockets.forEach((socket) => socket.destroy()));
    await until('all to be refused', () => listening.refused === 20);
    expect(listening.asked).toBe(16);
    await until(
      'the four to be closed',
      () => sockets.filter(({ readableEnded }) => readableEnded).length === 20,
    );
    for (const socket of sockets) socket.destroy();
    await until('another one to be told', async () => {
      const client = await RawClient.connect(listening.path);
      await client.closed;
      return client.received.length > 0;
    });
  });

  test('makes 64 reasons at a time, whoever they are for', async () => {
    let [refused, asked] = [0, 0];
    const { path } = listen(({ fd, peer }, { listener }) => {
      listener.refuse(fd, { ...peer, uid: Math.floor(refused / 15) }, () => {
        asked++;
        return refusal;
      });
      refused++;
      return 'taken';
    });
    await connectMany(path, 90);
    await until('all to be refused', () => refused === 90);
    expect(asked).toBe(64);
  });

  test('ends with the listener', async () => {
    const listening = refusing();
    const before = openDescriptors();
    const client = connect({ path: listening.path, allowHalfOpen: true }).resume();
    onTestFinished(() => void client.destroy());
    await once(client, 'end');
    listening.listener.close();
    expect(openDescriptors()).toBe(before);
  });
});

test('of 2,000 who connect, those that there is room for are held and all others refused, and no descriptor is left', async () => {
  const before = openDescriptors();
  let [refused, asked] = [0, 0];
  const { path, listener, accepted } = listen(({ fd, peer }, listening) => {
    if (listening.accepted.length < 256) return 'held';
    refused++;
    listening.listener.refuse(fd, peer, () => {
      asked++;
      return refusal;
    });
    return 'taken';
  });
  const sockets = await connectMany(path, 2000);
  await until('all', () => accepted.length + refused === 2000);
  expect(accepted).toHaveLength(256);
  expect(asked).toBeGreaterThanOrEqual(16);
  for (const { fd } of accepted.splice(0)) libc.close(fd);
  for (const socket of sockets) socket.destroy();
  await until('the descriptors', () => openDescriptors() === before + 1);
  listener.close();
  expect(openDescriptors()).toBe(before);
});

describe('without descriptors', () => {
  /** A program that may have 64 of them, listens, holds all connections, and takes or gives up files by commands. */
  const program = async (): Promise<{
    path: string;
    listening: Program;
    tell: (command: string) => void;
  }> => {
    const { path, fd } = listeningSocket();
    const source = `
      const { Listener } = await import(${JSON.stringify(inRepository('packages/helper/dist/peers/listener.js'))});
      const { openSync, closeSync } = await import('node:fs');
      const { Socket } = await import('node:net');
      let files = [];
      new Listener(3, (fd) => {
        const socket = new Socket({ fd, readable: true, writable: true });
        socket.resume().write('welcome');
      });
      process.stdin.on('data', (command) => {
        for (const one of String(command)) {
          if (one === '-') for (const file of files.splice(0)) closeSync(file);
          else if (one === '?') console.log('here');
          else try { for (;;) files.push(openSync('/dev/null')); } catch { console.log('full'); }
        }
      });
      console.log('listening');`;
    const node = ['--input-type=module', '-e', source];
    const listening = new Program('sh', ['-c', 'ulimit -n 64; exec "$0" "$@"', process.execPath, ...node], {
      stdio: ['pipe', 'pipe', 'pipe', fd],
    });
    libc.close(fd);
    await listening.says('listening');
    return { path, listening, tell: (command) => void listening.child.stdin?.write(command) };
  };

  /** What a new connection is told first. */
  const firstWord = async (path: string): Promise<{ socket: Socket; word: Promise<string> }> => {
    const [socket] = (await connectMany(path, 1)) as [Socket];
    const word = once(socket, 'data').then(([data]) => String(data));
    return { socket, word };
  };

  test('some are kept for other things: connections beyond are refused with a reason', async () => {
    const { path, listening } = await program();
    const sockets: Socket[] = [];
    for (let refused = ''; refused === '';) {
      const { socket, word } = await firstWord(path);
      sockets.push(socket);
      if ((await word) !== 'welcome') refused = await word;
      if (refused !== '') expect(refused).toContain('32 descriptors in use');
    }
    expect(sockets.length).toBeLessThan(32);
    await listening.says('as many connections as it can have');
    for (const socket of sockets) socket.destroy();
    await until('room for another one', async () => (await (await firstWord(path)).word) === 'welcome');
  });

  test('none left at all: connections wait until there are some again, and the log says so once', async () => {
    const { path, listening, tell } = await program();
    for (const round of [1, 2]) {
      tell('+');
      await until(
        'all to be taken',
        () => listening.lines.filter((line) => line === 'full').length === round,
      );
      const { word } = await firstWord(path);
      await listening.says('cannot accept connections for now: accept4: EMFILE');
      let isWelcome = false;
      void word.then(() => (isWelcome = true));
      // By the time that it has answered it has also seen the connection.
      tell('?');
      await until('an answer', () => listening.lines.filter((line) => line === 'here').length === round);
      expect(isWelcome).toBe(false);
      tell('-');
      expect(await word).toBe('welcome');
    }
    expect(listening.stderr.match(/cannot accept/g)).toHaveLength(1);
  });
});
