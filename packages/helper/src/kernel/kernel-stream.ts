/*
 * The first station of the data path: waits for the kernel, takes what it has queued, settles doubtful
 * exits, and hands on batches of events in order, with what was lost.
 */
import type { KernelEvent } from '@procbus/protocol';
import { clockOffset, monotonicTime, watchReadable, type Watch } from '../libc.ts';
import type { Connector } from './connector.ts';
import { HeldExits } from './held-exits.ts';
import { Pace } from './pace.ts';

/** What is handed on in one go. */
export interface Batch {
  readonly events: readonly KernelEvent[];
  /** How many events the kernel dropped since the last batch; they belong behind this one's. */
  readonly lost: number;
  /** When the batch was taken, in ns of CLOCK_MONOTONIC. */
  readonly kernelTime: bigint;
  /** ns to add to a kernel time for the time since 1970; taken anew, as suspend and settime change it. */
  readonly clockOffset: bigint;
}

/** Events in one batch at most, so that clients get their turn in a storm. */
const batchLimit = 4096;
/** Events taken from the kernel ahead of the batch at most; the rest waits in the kernel's queue. */
const queueLimit = 65_536;

export class KernelStream {
  readonly #connector: Connector;
  readonly #onBatch: (batch: Batch) => void;
  readonly #exits: HeldExits;
  readonly #watch: Watch;
  /** What the kernel has told and is not handed on yet. */
  #queue: KernelEvent[] = [];
  readonly #pace = new Pace(performance.now());
  #timer: NodeJS.Timeout | undefined;

  /** Begins to watch. Batches are handed on from the event loop, never from within another call. */
  constructor(connector: Connector, onBatch: (batch: Batch) => void) {
    this.#connector = connector;
    this.#onBatch = onBatch;
    this.#exits = new HeldExits((exit) => {
      this.#queue.unshift(exit);
      this.#next();
    });
    this.#watch = watchReadable(connector.fd, () => this.#next());
  }

  /** Stops watching, and hands on what has been told so far. The connector stays open. */
  close(): void {
    this.#watch.close();
    clearTimeout(this.#timer);
    this.#handOn();
    // Not for ever: in a storm there is always more.
    for (let round = queueLimit / batchLimit; round > 0 && this.#queue.length > 0; round--) this.#handOn();
    this.#exits.close();
  }

  /** Hands a batch on, now or as soon as its turn comes; until then nothing wakes us. */
  #next(): void {
    if (this.#timer !== undefined) return;
    const wait = this.#pace.take(performance.now());
    if (wait === 0) this.#turn();
    else this.#pause(wait);
  }

  #turn(): void {
    this.#handOn();
    // Clients get their turn before the rest of a long queue.
    if (this.#queue.length > 0) this.#pause(0);
  }

  /** In place of waking for each event, comes back after some ms. */
  #pause(ms: number): void {
    this.#watch.pause();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#watch.resume();
      this.#turn();
    }, ms);
  }

  #handOn(): void {
    this.#take();
    const count = Math.min(this.#queue.length, batchLimit);
    const events = this.#exits.settle(this.#queue, count, () => this.#take());
    this.#queue = this.#queue.slice(count);
    // What was dropped came behind all that is queued.
    const lost = this.#queue.length === 0 ? this.#connector.takeDropped() : 0;
    if (events.length === 0 && lost === 0) return;
    this.#onBatch({ events, lost, kernelTime: monotonicTime(), clockOffset: clockOffset() });
  }

  /** Appends what is waiting in the kernel's queue. */
  #take(): void {
    this.#connector.drain(this.#queue, queueLimit);
  }
}
