/*
 * A helper whose queue of connections is full, as in a flood.
 */
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { connect } from '@procbus/client';
import { helperMessage, packFrame } from '@procbus/protocol';
import { expect, onTestFinished, test } from 'vitest';
import * as libc from '../packages/helper/src/libc.ts';
import { helperHello } from './support/impostor.ts';
import { temporaryDirectory } from './support/procbus.ts';

/** A socket that listens, and accepts nobody unless it is told to. */
function listenOnly(): { path: string; accept: () => number | undefined } {
  const path = join(temporaryDirectory(), 'crowded.sock');
  const fd = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM | libc.SOCK_CLOEXEC | libc.SOCK_NONBLOCK, 0);
  libc.bind(fd, libc.unixAddress(path));
  libc.listen(fd, 0);
  onTestFinished(() => libc.close(fd));
  return { path, accept: () => libc.accept(fd) };
}

test('a client waits for its turn', async () => {
  const { path, accept } = listenOnly();
  const first = connectSocket(path);
  onTestFinished(() => void first.destroy());
  await once(first, 'connect');
  const refused = connectSocket(path);
  const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toBe('EAGAIN');

  const connecting = connect({ socket: path, reconnect: false });
  libc.close(accept() as number);
  let fd: number | undefined;
  await expect.poll(() => (fd = accept())).toBeDefined();
  libc.send(fd as number, packFrame(helperMessage.hello(helperHello)));
  const bus = await connecting;
  libc.close(fd as number);
  await bus.closed;
});

test('a client that gives up does so at once', async () => {
  const { path } = listenOnly();
  const first = connectSocket(path);
  onTestFinished(() => void first.destroy());
  await once(first, 'connect');
  const ending = new AbortController();
  const connecting = connect({ socket: path, signal: ending.signal });
  ending.abort(new Error('enough'));
  await expect(connecting).rejects.toThrow('enough');
});
