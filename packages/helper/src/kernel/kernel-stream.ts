/*
 * The first station of the data path: waits for the kernel, drains what it queued, settles doubtful
 * exits, and hands on batches of events in order, with what was lost.
 */
import type { KernelEvent } from '@procbus/protocol';
import { clockOffset, monotonicTime, watchReadable, type Watch } from '../libc.ts';
import type { Connector } from './connector.ts';
import { HeldExits } from './held-exits.ts';

/** What one look at the kernel's queue brought. */
export interface Batch {
  readonly events: readonly KernelEvent[];
  /** How many events the kernel dropped since the last batch; they belong behind this one's. */
  readonly lost: number;
  /** When the batch was taken, in ns of CLOCK_MONOTONIC. */
  readonly kernelTime: bigint;
  /** ns to add to a kernel time for the time since 1970; taken anew, as suspend and settime change it. */
  readonly clockOffset: bigint;
}

export class KernelStream {
  readonly #connector: Connector;
  readonly #onBatch: (batch: Batch) => void;
  readonly #exits: HeldExits;
  readonly #watch: Watch;

  /** Begins to watch. Batches are handed on from the event loop, never from within another call. */
  constructor(connector: Connector, onBatch: (batch: Batch) => void) {
    this.#connector = connector;
    this.#onBatch = onBatch;
    this.#exits = new HeldExits((pid) => this.#read(pid));
    this.#watch = watchReadable(connector.fd, () => this.#read());
  }

  /** Stops watching. The connector stays open. */
  close(): void {
    this.#watch.close();
    this.#exits.close();
  }

  /** @param overPid - a process whose exit is held and that is over */
  #read(overPid?: number): void {
    const queued: KernelEvent[] = [];
    const drained = this.#connector.drain(queued);
    const events = this.#exits.settle(queued);
    if (overPid !== undefined && drained) {
      // Only now: an exec that was still queued would have told that the process had not ended.
      const exit = this.#exits.release(overPid);
      if (exit !== undefined) events.push(exit);
    }
    const lost = this.#connector.takeDropped();
    if (events.length === 0 && lost === 0) return;
    this.#onBatch({ events, lost, kernelTime: monotonicTime(), clockOffset: clockOffset() });
  }
}
