/*
 * The first station of the data path: waits for the kernel, takes what it has queued, settles doubtful
 * exits, and hands on batches of events in order, with what was lost.
 */
import type { KernelEvent } from '@procbus/protocol';
import { clockOffset, monotonicTime, watchReadable, type Watch } from '../libc.ts';
import type { Connector } from './connector.ts';
import { HeldExits } from './held-exits.ts';

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
  #next: NodeJS.Immediate | undefined;

  /** Begins to watch. Batches are handed on from the event loop, never from within another call. */
  constructor(connector: Connector, onBatch: (batch: Batch) => void) {
    this.#connector = connector;
    this.#onBatch = onBatch;
    this.#exits = new HeldExits((exit) => {
      this.#queue.unshift(exit);
      this.#read();
    });
    this.#watch = watchReadable(connector.fd, () => this.#read());
  }

  /** Stops watching. The connector stays open. */
  close(): void {
    this.#watch.close();
    this.#exits.close();
    clearImmediate(this.#next);
  }

  #read(): void {
    this.#take();
    const count = Math.min(this.#queue.length, batchLimit);
    const events = this.#exits.settle(this.#queue, count, () => this.#take());
    this.#queue = this.#queue.slice(count);
    // What was dropped came behind all that is queued.
    const lost = this.#queue.length === 0 ? this.#connector.takeDropped() : 0;
    if (this.#queue.length > 0) this.#next ??= setImmediate(() => this.#readOn());
    if (events.length === 0 && lost === 0) return;
    this.#onBatch({ events, lost, kernelTime: monotonicTime(), clockOffset: clockOffset() });
  }

  #readOn(): void {
    this.#next = undefined;
    this.#read();
  }

  /** Appends what is waiting in the kernel's queue. */
  #take(): void {
    this.#connector.drain(this.#queue, queueLimit);
  }
}
