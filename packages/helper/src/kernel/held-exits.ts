/*
 * Exits that may not be one.
 *
 * When a thread that is not the leader calls execve(2), the kernel reports the exit of the leader
 * and then the exec of the same pid; when a leader ends by pthread_exit(3), it reports an exit while
 * the other threads run on. Neither process ended.
 *
 * Idea: an exit of a leader is told once the whole process is over, which a pidfd knows. Nearly
 * always it is over by the time that the event is read; else the exit is held, and told when the
 * pidfd becomes readable, or forgotten when an exec of the same pid follows.
 * Invariant: nobody is told the end of a process that lives, and each end is told once.
 * Trade-off: a held exit comes after later events, with its own, earlier time; its status is the
 * leader's. Where no pidfd can be had (too many held), an exit is told as the kernel told it.
 */
import type { KernelEvent } from '@procbus/protocol';
import { close, isReadable, openPidfd, watchReadable, type Watch } from '../libc.ts';

/** So many exits are held at most; a hostile program could leave any number of dead leaders behind. */
const heldLimit = 256;

interface Held {
  readonly event: KernelEvent;
  readonly pidfd: number;
  readonly watch: Watch;
}

export class HeldExits {
  readonly #held = new Map<number, Held>();
  readonly #onOver: (pid: number) => void;

  /** @param onOver - called when a process whose exit is held is over; {@link release} then gives the exit */
  constructor(onOver: (pid: number) => void) {
    this.#onOver = onOver;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Takes events as the kernel told them, and returns those that can be told now, in order. */
  settle(events: readonly KernelEvent[]): KernelEvent[] {
    const told: KernelEvent[] = [];
    for (const event of events) {
      if (event.pid === event.tid) {
        if (event.type === 'exit') {
          // An earlier exit of the pid was not the end, or this one would not have come.
          this.#forget(event.pid);
          if (this.#hold(event)) continue;
        } else if (event.type === 'exec') {
          this.#forget(event.pid);
        } else if (event.type === 'fork') {
          // The pid is given anew, so its last owner is over.
          const exit = this.release(event.pid);
          if (exit !== undefined) told.push(exit);
        }
      }
      told.push(event);
    }
    return told;
  }

  /** Gives up a held exit to be told. */
  release(pid: number): KernelEvent | undefined {
    const held = this.#held.get(pid);
    this.#forget(pid);
    return held?.event;
  }

  close(): void {
    for (const pid of this.#held.keys()) this.#forget(pid);
  }

  /** Holds an exit if its process is not over yet; returns whether it is held. */
  #hold(event: KernelEvent): boolean {
    if (this.#held.size >= heldLimit) return false;
    const pid = event.pid;
    const pidfd = pidfdOf(pid);
    if (pidfd === undefined) return false;
    if (isReadable(pidfd)) {
      close(pidfd);
      return false;
    }
    const watch = watchReadable(pidfd, () => this.#onOver(pid));
    this.#held.set(pid, { event, pidfd, watch });
    return true;
  }

  #forget(pid: number): void {
    const held = this.#held.get(pid);
    if (held === undefined) return;
    this.#held.delete(pid);
    held.watch.close();
    close(held.pidfd);
  }
}

function pidfdOf(pid: number): number | undefined {
  try {
    return openPidfd(pid);
  } catch {
    return undefined; // Out of descriptors, or forbidden: the kernel's word has to do.
  }
}
