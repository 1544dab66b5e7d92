/*
 * A socket to a helper, and the bytes that arrive at it.
 *
 * Idea: they are read into one buffer, again and again, and handed on as they are. The streams of Node would make a
 * buffer for each piece, queue it and tell it as an event, which takes longer than to read the events in it.
 */
import { connect, type Socket } from 'node:net';

/** Bytes read at once at most: as much as a socket holds, so that what is sent together arrives together. */
const readBytes = 256 * 1024;

type Take = (bytes: Buffer) => void;

export interface Wire {
  readonly socket: Socket;
  /** Has all that arrives from now on taken. Who takes bytes may keep them. */
  readonly read: (take: Take) => void;
}

/** Begins to connect to a path. What arrives before anybody reads is lost: read as soon as it is connected. */
export function wireTo(path: string): Wire {
  let taker: Take | undefined;
  const buffer = Buffer.allocUnsafeSlow(readBytes);
  const callback = (length: number): boolean => {
    taker?.(Buffer.from(buffer.subarray(0, length)));
    return true;
  };
  // By name, as a path of digits alone would be taken for a port.
  const socket = connect({ path, onread: { buffer, callback } });
  return {
    socket,
    read: (take) => {
      taker = take;
    },
  };
}

/** The wire of a socket that somebody else has made, by Node's streams. */
export function wireOf(socket: Socket): Wire {
  return { socket, read: (take) => void socket.on('data', take) };
}
