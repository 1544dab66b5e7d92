/*
 * Requests: what we have asked the helper, and it has not answered yet.
 */

interface Request {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  onPart(items: readonly unknown[]): void;
}

/** How a request is made. */
export interface RequestOptions {
  /** Takes what comes before the answer, where it comes in parts. */
  readonly onPart?: (items: readonly unknown[]) => void;
  /** Gives up waiting: the answer rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The requests of one connection, by number. */
export class Requests {
  readonly #open = new Map<number, Request>();
  #last = 0;

  /** Opens a request. Numbers are never used twice, so a late answer meets nobody else. */
  open({ onPart = () => undefined, signal }: RequestOptions = {}): { id: number; answer: Promise<unknown> } {
    const id = ++this.#last;
    const answer = new Promise((resolve, reject) => {
      const onAbort = (): void => this.reject(id, signal?.reason);
      const settled = (): void => signal?.removeEventListener('abort', onAbort);
      signal?.addEventListener('abort', onAbort);
      this.#open.set(id, {
        onPart,
        resolve: (value) => {
          settled();
          resolve(value);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
    });
    return { id, answer };
  }

  /** Takes a part of an answer. As with the answer itself, a request that was given up is no error. */
  part(id: number, items: readonly unknown[]): void {
    this.#open.get(id)?.onPart(items);
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

  #settle(id: number): Request | undefined {
    const request = this.#open.get(id);
    this.#open.delete(id);
    return request;
  }
}
