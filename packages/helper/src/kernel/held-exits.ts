/*
 * Exits that may not be one.
 *
 * When a thread that is not the leader calls execve(2), the kernel reports the exit of the leader
 * and then the exec of the same pid; when a leader ends by pthread_exit(3), it reports an exit while
 * the other threads run on. Neither process ended.
 *
 * Idea: an exit of a leader is told once the whole process is over, which a pidfd knows, and only if
 * no exec of the same pid follows. Nearly always the process is over by the time that the event is
 * read. Then the exec, if there was one, is already in the queue; so the queue is looked through
 * after the pidfd was asked. Else the exit is held, and asked again when the pidfd becomes readable.
 * Invariant: nobody is told the end of a process that lives, and each end is told once.
 * Trade-off: a held exit comes after later events, with its own, earlier time; its status is the
 * leader's. Where no pidfd can be had (too many held), an exit is told as the kernel told it.
 */
import type { KernelEvent } from '@procbus/protocol';
import { close, isReadable, openPidfd, watchReadable, type Watch } from '../libc.ts';

/** So many exits are held at most; a hostile program could leave any number of dead leaders behind. */
const heldLimit = 256;

/** In place of a pidfd. */
const noExit = -2;
const isOver = -1;

const none: ReadonlySet<KernelEvent> = new Set();

interface Held {
  readonly event: KernelEvent;
  readonly pidfd: number;
  readonly watch: Watch;
}

export class HeldExits {
  readonly #held = new Map<number, Held>();
  readonly #onOver: (exit: KernelEvent) => void;

  /** @param onOver - given a held exit when its process is over, to be put at the head of the queue */
  constructor(onOver: (exit: KernelEvent) => void) {
    this.#onOver = onOver;
  }

  /** How many are held. */
  get size(): number {
    return this.#held.size;
  }

  /**
   * Takes the first events of a queue; returns those that can be told now, in order.
   *
   * @param queue - events as the kernel told them
   * @param count - how many of them to take
   * @param lookAhead - appends to the queue all that the kernel has told by now
   */
  settle(queue: readonly KernelEvent[], count: number, lookAhead: () => void): KernelEvent[] {
    /** For each that is an exit of a leader: a pidfd, or that its process is over. */
    const pidfds = new Int32Array(count).fill(noExit);
    let holding = this.#held.size;
    let hasExits = false;
    for (let index = 0; index < count; index++) {
      const event = queue[index] as KernelEvent;
      if (event.type !== 'exit' || !isOfLeader(event)) continue;
      hasExits = true;
      const pidfd = holding < heldLimit ? pidfdUnlessOver(event.pid) : undefined;
      if (pidfd !== undefined) holding++;
      pidfds[index] = pidfd ?? isOver;
    }
    if (hasExits) lookAhead();
    const followed = hasExits ? exitsFollowedByExec(queue) : none;

    const told: KernelEvent[] = [];
    for (let index = 0; index < count; index++) {
      const event = queue[index] as KernelEvent;
      const pidfd = pidfds[index] as number;
      if (pidfd !== noExit) {
        // An earlier exit of the pid was not the end, or this one would not have come.
        this.#forget(event.pid);
        if (pidfd !== isOver) this.#hold(event, pidfd);
        else if (!followed.has(event)) told.push(event);
        continue;
      }
      if (event.type === 'exec') this.#forget(event.pid);
      if (event.type === 'fork' && isOfLeader(event)) {
        // The pid is given anew, so its last owner is over.
        const held = this.#forget(event.pid);
        if (held !== undefined) told.push(held);
      }
      told.push(event);
    }
    return told;
  }

  /** The held exits of processes that are over by now, which are no longer held. */
  takeOver(): KernelEvent[] {
    const over = [...this.#held.values()].filter(({ pidfd }) => isReadable(pidfd));
    for (const { event } of over) this.#forget(event.pid);
    return over.map(({ event }) => event);
  }

  close(): void {
    for (const pid of this.#held.keys()) this.#forget(pid);
  }

  #hold(event: KernelEvent, pidfd: number): void {
    const watch = watchReadable(pidfd, () => {
      this.#forget(event.pid);
      this.#onOver(event);
    });
    this.#held.set(event.pid, { event, pidfd, watch });
  }

  /** Stops holding an exit; returns it. */
  #forget(pid: number): KernelEvent | undefined {
    const held = this.#held.get(pid);
    if (held === undefined) return undefined;
    this.#held.delete(pid);
    held.watch.close();
    close(held.pidfd);
    return held.event;
  }
}

function isOfLeader(event: KernelEvent): boolean {
  return event.pid === event.tid;
}

/** The exits of leaders behind which the same process, and not a new one of the same pid, calls exec. */
function exitsFollowedByExec(queue: readonly KernelEvent[]): ReadonlySet<KernelEvent> {
  if (!queue.some(({ type }) => type === 'exec')) return none;
  const found = new Set<KernelEvent>();
  const execAhead = new Set<number>();
  for (let index = queue.length - 1; index >= 0; index--) {
    const event = queue[index] as KernelEvent;
    if (event.type === 'exec') execAhead.add(event.pid);
    else if (!isOfLeader(event)) continue;
    else if (event.type === 'fork') execAhead.delete(event.pid);
    else if (event.type === 'exit' && execAhead.has(event.pid)) found.add(event);
  }
  return found;
}

/** A pidfd for a process of which at least one thread lives; undefined where it is over. */
function pidfdUnlessOver(pid: number): number | undefined {
  let pidfd: number | undefined;
  try {
    pidfd = openPidfd(pid);
  } catch {
    return undefined; // Out of descriptors, or forbidden: the kernel's word has to do.
  }
  if (pidfd === undefined || !isReadable(pidfd)) return pidfd;
  close(pidfd);
  return undefined;
}
