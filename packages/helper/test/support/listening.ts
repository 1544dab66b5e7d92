/*
 * Sockets that listen, without a helper behind them.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { temporaryDirectory } from '../../../../test/support/procbus.ts';
import * as libc from '../../src/libc.ts';
import type { Peer } from '../../src/peers/credentials.ts';
import { Listener } from '../../src/peers/listener.ts';

/** A socket that listens, at a path where anybody may connect. Whoever takes the descriptor closes it. */
export function listeningSocket(flags: number = libc.SOCK_NONBLOCK): { path: string; fd: number } {
  const path = join(temporaryDirectory(), 'procbus.sock');
  const fd = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM | libc.SOCK_CLOEXEC | flags, 0);
  const umask = process.umask(0);
  libc.bind(fd, libc.unixAddress(path));
  process.umask(umask);
  libc.listen(fd, 4096);
  return { path, fd };
}

/** A connection that was accepted. */
export interface Accepted {
  readonly fd: number;
  readonly peer: Peer;
}

export interface Listening {
  readonly path: string;
  readonly listener: Listener;
  /** What was accepted and is held, in order; it is closed with the test. */
  readonly accepted: Accepted[];
}

/**
 * Listens until the end of the test.
 *
 * @param onConnection - says what becomes of a connection; without it, all are held
 */
export function listen(onConnection?: (one: Accepted, listening: Listening) => 'held' | 'taken'): Listening {
  const { path, fd } = listeningSocket();
  const accepted: Accepted[] = [];
  const listener = new Listener(fd, (connection, peer) => {
    const one = { fd: connection, peer };
    if (onConnection?.(one, listening) !== 'taken') accepted.push(one);
  });
  const listening = { path, listener, accepted };
  onTestFinished(() => {
    listener.close();
    for (const one of accepted.splice(0)) libc.close(one.fd);
  });
  return listening;
}

/** How many descriptors this process has open. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
