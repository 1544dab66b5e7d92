/*
 * Turns that time brings.
 *
 * Idea: who has to wait stands in a line, first come, first served, and one timer serves all of it. With a
 * timer for each, hundreds of connections of one user would wake up for every turn, and all but one in vain.
 * Pieces of what takes many turns have a line of their own, and every other turn: so what is short does not wait
 * for all that is long.
 * Invariant: nobody overtakes their line; who wants another turn goes to its end.
 */

/** Asks again at the latest after this time, in ms: timers of Node cannot wait much longer. */
const longestWait = 60_000;

type Line = Set<() => void>;

export class Turns {
  readonly #waitFor: () => number;
  readonly #requests: Line = new Set();
  readonly #pieces: Line = new Set();
  /** Which of them comes first. */
  #isForPiece = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param waitFor - ms until the next turn, 0 for now */
  constructor(waitFor: () => number) {
    this.#waitFor = waitFor;
  }

  /** Whether a turn may be taken now, without standing in the line. */
  get isOpen(): boolean {
    return this.#size === 0 && this.#waitFor() === 0;
  }

  get #size(): number {
    return this.#requests.size + this.#pieces.size;
  }

  /**
   * Stands in the line.
   *
   * @param onTurn - called once, from the event loop; what it does should make the next one wait
   * @param isPiece - whether it is a piece of what takes many turns
   * @returns leaves the line, where the turn has not come yet
   */
  join(onTurn: () => void, isPiece = false): () => void {
    // One who stands in the line twice has two places.
    const place = (): void => onTurn();
    const line = isPiece ? this.#pieces : this.#requests;
    line.add(place);
    this.#schedule();
    return () => {
      line.delete(place);
      if (this.#size > 0) return;
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
    for (let left = this.#size; left > 0 && this.#waitFor() === 0; left--) this.#take()?.();
    if (this.#size > 0) this.#schedule();
  }

  #take(): (() => void) | undefined {
    const lines = this.#isForPiece ? [this.#pieces, this.#requests] : [this.#requests, this.#pieces];
    const line = lines.find(({ size }) => size > 0);
    const [first] = line ?? [];
    if (line === undefined || first === undefined) return undefined;
    line.delete(first);
    this.#isForPiece = line === this.#requests;
    return first;
  }
}
