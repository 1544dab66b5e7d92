/*
 * Accepts clients on a listening socket, and knows all that are connected.
 */
import { once } from 'node:events';
import { createServer, Socket, type Server as NetServer } from 'node:net';
import type { ProcbusError } from '@procbus/protocol';
import { Session, type Host } from './session.ts';

export class Server {
  readonly #host: Host;
  readonly #sessions = new Map<Socket, Session>();
  readonly #listener: NetServer;
  #droppedForDeparted = 0;

  constructor(host: Host) {
    this.#host = host;
    this.#listener = createServer((socket) => this.#welcome(socket));
  }

  get clients(): number {
    return this.#sessions.size;
  }

  get subscriptions(): number {
    return this.#sum((session) => session.subscriptions);
  }

  /** Events that clients lost because they did not read them in time. */
  get dropped(): number {
    return this.#droppedForDeparted + this.#sum((session) => session.outbox.dropped);
  }

  /** Begins to accept on a socket that listens already. */
  async listen(fd: number): Promise<void> {
    this.#listener.listen({ fd });
    await once(this.#listener, 'listening');
  }

  /** Serves one client on a connected socket; resolves when it has gone. */
  async serve(fd: number): Promise<void> {
    const socket = new Socket({ fd, readable: true, writable: true });
    this.#welcome(socket);
    await closed(socket);
  }

  /** Stops accepting, tells every client why, and waits until they have gone. */
  async close(reason: ProcbusError): Promise<void> {
    this.#listener.close();
    const gone = [...this.#sessions].map(async ([socket, session]) => {
      session.leave(reason);
      await closed(socket);
    });
    await Promise.all(gone);
  }

  #sum(of: (session: Session) => number): number {
    return [...this.#sessions.values()].reduce((total, session) => total + of(session), 0);
  }

  #welcome(socket: Socket): void {
    const session = new Session(socket, this.#host);
    this.#sessions.set(socket, session);
    socket.once('close', () => {
      this.#sessions.delete(socket);
      this.#droppedForDeparted += session.outbox.dropped;
    });
  }
}

/** Resolves when a socket is closed, for whatever reason; a session gives each farewell a deadline. */
async function closed(socket: Socket): Promise<void> {
  if (socket.closed) return;
  await new Promise((resolve) => socket.once('close', resolve));
}
