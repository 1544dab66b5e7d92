/*
 * Requests: what we have asked the helper, and it has not answered yet.
 */

/** Who waits for an answer. Called from where the answer is read, so before whatever follows it. */
export interface Asker {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  /** Takes what comes before the answer, where it comes in parts. */
  part?(items: readonly unknown[]): void;
}

/** The requests of one connection, by number. */
export class Requests {
  readonly #open = new Map<number, Asker>();
  #last = 0;

  /** Opens a request. Numbers are never used twice, so a late answer meets nobody else. */
  open(asker: Asker): number {
    const id = ++this.#last;
    this.#open.set(id, asker);
    return id;
  }

  /** Takes a part of an answer. As with the answer itself, a request that was given up is no error. */
  part(id: number, items: readonly unknown[]): void {
    this.#open.get(id)?.part?.(items);
  }

  resolve(id: number, value: unknown): void {
    this.#settle(id)?.resolve(value);
  }

  reject(id: number, error: unknown): void {
    this.#settle(id)?.reject(error);
  }

  /** Ends all that is open. */
  rejectAll(error: unknown): void {
    for (const id of this.#open.keys()) this.reject(id, error);
  }

  #settle(id: number): Asker | undefined {
    const request = this.#open.get(id);
    this.#open.delete(id);
    return request;
  }
}
