/*
 * A socket in front of a helper's, whose connections can be cut off.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { temporaryDirectory } from './procbus.ts';

export interface Relay {
  readonly path: string;
  /** Ends all connections, wherever in a frame they are. */
  cut(): void;
}

/** Listens until the end of the test, and connects whoever connects with a helper. */
export async function startRelay(helper: string): Promise<Relay> {
  const path = join(temporaryDirectory(), 'relay.sock');
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    return socket.once('close', () => sockets.delete(socket));
  };
  const listener = createServer((socket) => {
    const onward = keep(connect(helper));
    keep(socket).pipe(onward).pipe(socket);
    socket.once('close', () => onward.destroy());
    onward.once('close', () => socket.destroy());
  }).listen(path);
  await once(listener, 'listening');
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    listener.close();
    cut();
  });
  return { path, cut };
}
