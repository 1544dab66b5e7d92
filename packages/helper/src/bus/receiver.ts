/*
 * Where the events of a subscription go.
 */
import type { Loss } from '@procbus/protocol';

/** Events for one subscription, packed and ready to send. */
export interface Delivery {
  /** The stream has been looked through up to here. */
  readonly seq: number;
  /** ns to add to a kernel time for the time since 1970. */
  readonly clockOffset: bigint;
  /** A packed array of `count` events, numbered within `from` to `to`; it may be empty. */
  readonly packed: Buffer;
  readonly count: number;
  readonly from: number;
  readonly to: number;
  /** When it was packed, in ns of CLOCK_MONOTONIC. */
  readonly kernelTime: bigint;
}

/** Takes what a subscription is told, and pays for it. No call may block or throw. */
export interface Receiver {
  deliver(delivery: Delivery): void;
  lose(loss: Loss): void;
  /** Whether it has read what it was told, so that what waits in the journal may follow. */
  hasRoom(): boolean;
  /**
   * Pays for µs that it took to look through the stream.
   *
   * @returns whether it has paid for all so far; who has not falls behind
   */
  pay?(time: number): boolean;
  /** It is told nothing behind a number, unless it goes on from the journal. */
  fallBehind?(seq: number): void;
}
