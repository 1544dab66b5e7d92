/*
 * A server at a socket that says what the test wants: no helper, or one of a later version.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import {
  FrameDecoder,
  fullGrant,
  helperMessage,
  isMap,
  maxClientPayload,
  packFrame,
  parseCursor,
  unpack,
  type HelperHello,
} from '@procbus/protocol';
import { onTestFinished } from 'vitest';
import { temporaryDirectory } from './procbus.ts';

export const helperHello: HelperHello = {
  version: 1,
  versions: [1, 1],
  software: 'impostor/1',
  epoch: '00',
  seq: 0,
  bootId: '00',
  clockOffset: 0n,
  grant: fullGrant,
};

/** Listens until the end of the test; returns the path. */
export async function listenAs(onConnection: (socket: Socket) => void): Promise<string> {
  const path = join(temporaryDirectory(), 'impostor.sock');
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  }).listen(path);
  await once(listener, 'listening');
  onTestFinished(() => {
    listener.close();
    for (const socket of sockets) socket.destroy();
  });
  return path;
}

/** Listens, and answers each message of a client with frames of its own. */
export async function answerAs(
  answer: (type: string, request: unknown, ...rest: unknown[]) => readonly (readonly unknown[])[],
): Promise<string> {
  return listenAs((socket) => {
    const decoder = new FrameDecoder(maxClientPayload);
    socket.on('data', (chunk) => {
      for (const payload of decoder.push(chunk)) {
        const elements = unpack(payload) as [string, unknown, ...unknown[]];
        for (const message of answer(...elements)) socket.write(packFrame(message));
      }
    });
  });
}

/** The answer to hello and to requests of a helper that hears nothing; it has whatever was ever asked for. */
export function politely(type: string, request: unknown, ...[, options]: unknown[]): unknown[][] {
  if (type === 'hello') return [helperMessage.hello(helperHello)];
  if (type === 'goodbye') return [];
  const { since } = (type === 'subscribe' && isMap(options) ? options : {}) as { since?: string };
  const seq = since === undefined ? 0 : parseCursor(since).seq;
  return [helperMessage.result(request as number, { seq, clockOffset: 0n })];
}
