/*
 * Connections that are refused, and told why.
 *
 * A connection that is closed at once loses the reason: the hello that the client is about to write fails, and
 * Node, for one, then gives the socket up without reading it. So what is refused stays open until the client
 * has gone.
 * Trade-off: only so many stay open. In a flood the rest is closed without a word, which is the cheapest that can
 * be done: an error that nobody would read is not even made.
 */
import { helperMessage, packFrame, type ProcbusError } from '@procbus/protocol';
import * as libc from '../libc.ts';

/** Refused connections of one user that stay open. */
const heldOfUser = 16;
/** Those of all users. */
const heldInAll = 64;
/** How long they may take to read, in ms. */
const readingTime = 1000;
/** How often we look who has gone, in ms; it also bounds how many errors a user has us make. */
const interval = 250;

interface Held {
  readonly uid: number;
  /** ms on the clock of `performance.now()` */
  readonly deadline: number;
}

export class Refusals {
  readonly #held = new Map<number, Held>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * Takes a connection over and closes it.
   *
   * @param uid - whose it is
   * @param reason - asked only if there is a chance that it is read
   */
  refuse(fd: number, uid: number, reason: () => ProcbusError): void {
    if (this.#held.size >= heldInAll || this.#heldOf(uid) >= heldOfUser) {
      libc.close(fd);
      return;
    }
    libc.trySend(fd, packFrame(helperMessage.goodbye(reason())));
    // Most clients end their side when they see the end of ours.
    libc.shutdownWriting(fd);
    this.#held.set(fd, { uid, deadline: performance.now() + readingTime });
    this.#timer ??= setInterval(() => this.#look(), interval);
  }

  /** Closes all. */
  close(): void {
    this.#release(this.#held.keys());
  }

  #heldOf(uid: number): number {
    let count = 0;
    for (const held of this.#held.values()) if (held.uid === uid) count++;
    return count;
  }

  #look(): void {
    const now = performance.now();
    const overdue = [...this.#held].filter(([, { deadline }]) => deadline <= now).map(([fd]) => fd);
    this.#release(new Set([...libc.hungUp([...this.#held.keys()]), ...overdue]));
  }

  #release(fds: Iterable<number>): void {
    for (const fd of fds) {
      this.#held.delete(fd);
      libc.close(fd);
    }
    if (this.#held.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
