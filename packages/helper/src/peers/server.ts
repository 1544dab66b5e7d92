/*
 * Accepts clients on a listening socket, and knows all that are connected.
 */
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcbusError } from '@procbus/protocol';
import * as libc from '../libc.ts';
import { peerOf, type Peer } from './credentials.ts';
import { Listener } from './listener.ts';
import { defaultLimits, exceeded, Quotas, type Limits, type Share } from './quota.ts';
import { Session, type ConnectionFigures, type Host } from './session.ts';

/** What strangers may take until they are refused. */
const strangerLimits: Limits = { ...defaultLimits, connections: 16, requestsPerSecond: 20 };
/** ms between two looks at whether all have been told of the past. */
const settleInterval = 5;

export class Server {
  /** What each user takes. */
  readonly quotas: Quotas = new Quotas();
  readonly #host: Host;
  readonly #sessions = new Map<Socket, Session>();
  /** What ends each connection that waits to be served, by its descriptor. */
  readonly #parked = new Map<number, () => void>();
  #listener: Listener | undefined;
  #droppedForDeparted = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  /** The figures of all connections. */
  get connections(): ConnectionFigures[] {
    return [...this.#sessions.values()].map((session) => session.figures);
  }

  /** How many connections there are. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Events that clients lost because they did not read them in time. */
  get dropped(): number {
    const now = [...this.#sessions.values()].reduce((sum, { outbox }) => sum + outbox.dropped, 0);
    return this.#droppedForDeparted + now;
  }

  /** Begins to accept on a socket that listens already. */
  listen(fd: number): void {
    this.#listener = new Listener(fd, (connection, peer) => this.#accept(connection, peer));
  }

  /** Serves one client on a connected socket; resolves when it has gone. */
  async serve(fd: number): Promise<void> {
    const peer = peerOf(fd);
    const share = this.quotas.open(peer.uid, this.#limitsOf(peer));
    if (share !== undefined) await closed(this.#welcome(fd, peer, share));
  }

  /** What is granted may have changed, for all. */
  regrant(): void {
    for (const session of this.#sessions.values()) session.regrant();
  }

  /** Waits until nobody is told of the past any more, who reads it; but no longer than so many ms. */
  async settle(ms: number): Promise<void> {
    const end = performance.now() + ms;
    const isReplaying = (): boolean => [...this.#sessions.values()].some((session) => session.isReplaying);
    while (isReplaying() && performance.now() < end) await sleep(settleInterval);
  }

  /** Stops accepting, tells every client why, and waits until they have gone. */
  async close(reason: ProcbusError): Promise<void> {
    this.#listener?.close();
    for (const end of this.#parked.values()) end();
    this.#parked.clear();
    const gone = [...this.#sessions].map(async ([socket, session]) => {
      session.leave(reason);
      await closed(socket);
    });
    await Promise.all(gone);
  }

  #accept(fd: number, peer: Peer): void {
    const limits = this.#limitsOf(peer);
    const share = this.quotas.open(peer.uid, limits);
    if (share === undefined) {
      this.#listener?.refuse(fd, peer, () => exceeded(peer.uid, 'connections', limits));
    } else if (share.isReady) {
      this.#serveNext(fd, peer, share);
    } else {
      this.#park(fd, peer, share);
    }
  }

  /** Keeps a connection as the descriptor that it is until its user may ask for something: that costs nothing. */
  #park(fd: number, peer: Peer, share: Share): void {
    const leaveLine = share.wait(() => {
      this.#parked.delete(fd);
      this.#serveNext(fd, peer, share);
    });
    this.#parked.set(fd, () => {
      leaveLine();
      libc.close(fd);
      share.close();
    });
  }

  /** To begin a session is as much work as a request. */
  #serveNext(fd: number, peer: Peer, share: Share): void {
    share.spend(1, 0);
    this.#welcome(fd, peer, share);
  }

  /** Who is granted nothing is told why in answer to its hello. */
  #limitsOf(peer: Peer): Limits {
    return this.#host.grantTo(peer)?.limits ?? strangerLimits;
  }

  #welcome(fd: number, peer: Peer, share: Share): Socket {
    const socket = new Socket({ fd, readable: true, writable: true });
    const session = new Session(socket, peer, share, this.#host);
    this.#sessions.set(socket, session);
    socket.once('close', () => {
      this.#sessions.delete(socket);
      this.#droppedForDeparted += session.outbox.dropped;
      share.close();
    });
    return socket;
  }
}

/** Resolves when a socket has told that it is closed, for whatever reason; a session gives each farewell a deadline. */
async function closed(socket: Socket): Promise<void> {
  await new Promise((resolve) => socket.once('close', resolve));
}
