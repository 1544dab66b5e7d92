/*
 * Accepts connections on a listening socket, and finds out whose they are.
 *
 * Idea: the kernel queues those who connect in one line for all users, so the only way to serve one beside
 * another who floods is to get through the line quickly. What becomes of a connection is decided by its user
 * alone, before anything is made of it, and to refuse one costs little more than accept(2) and close(2).
 * Invariant: between a few connections everything else has its turn.
 */
import { ProcbusError } from '@procbus/protocol';
import * as libc from '../libc.ts';
import { log } from '../log.ts';
import { peerOf, type Peer } from './credentials.ts';
import { Refusals } from './refusals.ts';

/** Connections that are accepted before other work has its turn: together they take less than a millisecond. */
const acceptedInTurn = 32;
/** Descriptors that are left for reading /proc and for all else. */
const reserve = 128;
/** After a failure to accept, ms until the next attempt. */
const pauseTime = 100;
/** Failures are logged once in this time, in ms. */
const logInterval = 10_000;

/** Where there is nothing left to accept a connection with; see accept(2). */
const shortages = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

export class Listener {
  readonly #fd: number;
  readonly #onConnection: (fd: number, peer: Peer) => void;
  readonly #watch: libc.Watch;
  readonly #refusals = new Refusals();
  /** The first descriptor that is one too many. */
  readonly #tooMany: number;
  #pause: NodeJS.Timeout | undefined;
  #loggedAt = -Infinity;
  #closed = false;

  /**
   * Begins to accept.
   *
   * @param fd - a socket that listens; it will not block from now on, and is closed with the listener
   * @param onConnection - is given each connection, which does not block, and who is at its other end; it has to
   * close it, or to have it refused
   */
  constructor(fd: number, onConnection: (fd: number, peer: Peer) => void) {
    this.#fd = fd;
    this.#onConnection = onConnection;
    const limit = libc.descriptorLimit();
    this.#tooMany = limit - Math.min(reserve, limit / 2);
    // It is told again as long as somebody waits; see uv_poll_init for why it does not block.
    this.#watch = libc.watchReadable(fd, () => this.#acceptSome());
  }

  /**
   * Refuses a connection that was given to `onConnection`.
   *
   * @param reason - asked only if there is a chance that it is read: in a flood there is none
   */
  refuse(fd: number, peer: Peer, reason: () => ProcbusError): void {
    this.#refusals.refuse(fd, peer.uid, reason);
  }

  /** Stops accepting. Connections that were given away stay as they are. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#pause);
    this.#watch.close();
    libc.close(this.#fd);
    this.#refusals.close();
  }

  #acceptSome(): void {
    for (let left = acceptedInTurn; left > 0 && !this.#closed; left--) {
      const fd = this.#accept();
      if (fd === undefined) return;
      const peer = peerOf(fd);
      // The kernel gives away the lowest descriptor that is free, so all below it are in use.
      if (fd < this.#tooMany) this.#onConnection(fd, peer);
      else this.#refuseForWant(fd, peer);
    }
  }

  /** The next connection; undefined where nobody waits, or none can be accepted for now. */
  #accept(): number | undefined {
    try {
      return libc.accept(this.#fd);
    } catch (error) {
      if (!(error instanceof libc.SystemError) || !shortages.has(error.code)) throw error;
      this.#complain(`cannot accept connections for now: ${error.message}`);
      this.#watch.pause();
      this.#pause = setTimeout(() => this.#watch.resume(), pauseTime);
      return undefined;
    }
  }

  #refuseForWant(fd: number, peer: Peer): void {
    const message = `procbusd has as many connections as it can have, with ${this.#tooMany} descriptors in use`;
    this.#complain(message);
    this.refuse(
      fd,
      peer,
      () =>
        new ProcbusError('quota', message, {
          remedy: 'Try again later, or raise LimitNOFILE= of procbus.service.',
        }),
    );
  }

  #complain(line: string): void {
    const now = performance.now();
    if (now - this.#loggedAt < logInterval) return;
    this.#loggedAt = now;
    log(line);
  }
}
