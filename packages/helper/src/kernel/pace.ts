/*
 * How often batches are handed on.
 *
 * Idea: a bucket of tokens, one for each batch. While events are few it is never empty, and each goes out at once.
 * When it is empty we are under load, and rest after each batch, so that batches grow instead of becoming more: most
 * of what an event costs is waking up, for us and for those who wait for it. The load is over with the first rest in
 * which next to nothing happened.
 * Trade-off: under load an event waits for up to a rest.
 */

/** The shortest and the longest rest, in ms. */
const shortestRest = 5;
export const longestRest = 32;
/** Batches that may follow each other at once: a command is some three of them. */
const burst = 16;
/** Batches a ms that may go out at once in the long run. */
const batchesPerMs = 0.5;

export class Pace {
  #rest: number = longestRest;
  #tokens: number = burst;
  #last: number;
  #isLoaded = false;

  /** @param now - ms of a clock that never goes back */
  constructor(now: number) {
    this.#last = now;
  }

  /** How long an event may wait, in ms. */
  set patience(ms: number) {
    this.#rest = Math.min(longestRest, Math.max(shortestRest, Math.floor(ms)));
  }

  /** A batch of so many events is handed on; returns for how many ms to rest, 0 where the next one goes out at once. */
  after(events: number, now: number): number {
    if (this.#isLoaded) {
      if (events > this.#rest * batchesPerMs) return this.#rest;
      this.#isLoaded = false;
    } else {
      this.#tokens = Math.min(burst, this.#tokens + (now - this.#last) * batchesPerMs) - 1;
      this.#isLoaded = this.#tokens < 0;
    }
    this.#last = now;
    if (!this.#isLoaded) return 0;
    this.#tokens = 0;
    return this.#rest;
  }
}
