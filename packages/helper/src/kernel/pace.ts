/*
 * How often batches are handed on.
 *
 * Idea: a bucket of tokens, one for each batch. While events are few it is never empty, and each
 * goes out at once; under load it empties, and batches grow instead of becoming more. Most of what
 * an event costs is waking up those who wait for it, so this is what makes a storm affordable.
 * Trade-off: under load an event waits for up to {@link batchInterval}.
 */

/** ms for a token to come back, and so between batches under load. */
export const batchInterval = 5;
/** Batches that may follow each other at once: a command is some three of them. */
const burst = 16;

export class Pace {
  #tokens: number = burst;
  #last: number;

  /** @param now - ms of a clock that never goes back */
  constructor(now: number) {
    this.#last = now;
  }

  /** Takes a turn to hand on a batch; returns how many ms until it comes, 0 for now. */
  take(now: number): number {
    this.#tokens = Math.min(burst, this.#tokens + (now - this.#last) / batchInterval) - 1;
    this.#last = now;
    return this.#tokens >= 0 ? 0 : Math.ceil(-this.#tokens * batchInterval);
  }
}
