/*
 * Turns that time brings.
 *
 * Idea: who has to wait stands in a line, first come, first served, and one timer serves all of it. With a
 * timer for each, hundreds of connections of one user would wake up for every turn, and all but one in vain.
 * Invariant: nobody overtakes the line; who wants another turn goes to its end.
 */

/** Asks again at the latest after this time, in ms: timers of Node cannot wait much longer. */
const longestWait = 60_000;

export class Turns {
  readonly #waitFor: () => number;
  readonly #line = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  /** @param waitFor - ms until the next turn, 0 for now */
  constructor(waitFor: () => number) {
    this.#waitFor = waitFor;
  }

  /** Whether a turn may be taken now, without standing in the line. */
  get isOpen(): boolean {
    return this.#line.size === 0 && this.#waitFor() === 0;
  }

  /**
   * Stands in the line.
   *
   * @param onTurn - called once, from the event loop; what it does should make the next one wait
   * @returns leaves the line, where the turn has not come yet
   */
  join(onTurn: () => void): () => void {
    // One who stands in the line twice has two places.
    const place = (): void => onTurn();
    this.#line.add(place);
    this.#schedule();
    return () => {
      this.#line.delete(place);
      if (this.#line.size > 0) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    };
  }

  #schedule(): void {
    this.#timer ??= setTimeout(
      () => {
        this.#timer = undefined;
        this.#serve();
      },
      Math.min(Math.ceil(this.#waitFor()), longestWait),
    );
  }

  /** Serves those who stand there now: who comes back meanwhile is served the next time, after other work. */
  #serve(): void {
    for (let left = this.#line.size; left > 0 && this.#waitFor() === 0; left--) {
      const [first] = this.#line;
      if (first === undefined) return;
      this.#line.delete(first);
      first();
    }
    if (this.#line.size > 0) this.#schedule();
  }
}
