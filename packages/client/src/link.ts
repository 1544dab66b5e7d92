/*
 * A connection that is made again when it ends.
 *
 * Idea: one loop lives as long as the link. It waits for the end of a connection and then, unless that
 * is for good, for the next one; whoever needs a connection meanwhile waits in a set of its own.
 * Invariant: `closed` resolves once, and then nobody waits any more and nothing is left to be awaited.
 */
import { ProcbusError, type ErrorCode, type HelperHello } from '@procbus/protocol';
import { backoff, pause } from './backoff.ts';
import { closedError, type Connection } from './connection.ts';
import { deferred, type Deferred } from './deferred.ts';

/** What becomes of a connection that has been lost: told for each attempt to connect again, and for success. */
export type ConnectionChange =
  | {
      readonly connected: false;
      /** Why the connection ended, or the last attempt failed. */
      readonly error: ProcbusError;
      /** The attempt that comes next: 1 for the first. */
      readonly attempt: number;
      /** ms until then. */
      readonly wait: number;
    }
  | { readonly connected: true };

/** Makes a connection. */
export type Opener = (signal: AbortSignal) => Promise<Connection>;

/** How a link lasts. */
export interface LinkOptions {
  /** Makes the next connection; without it the link ends with the first one. */
  readonly reopen?: Opener | undefined;
  /** Told of the link’s ups and downs; what it throws is an uncaught exception. */
  readonly onConnection?: ((change: ConnectionChange) => void) | undefined;
}

/** Who lives on the link. */
export interface LinkUser {
  /** There is another connection. */
  connected(connection: Connection): void;
  /** A connection has ended; there will be another one. */
  disconnected(reason: ProcbusError): void;
  /** There will be no connection any more. */
  ended(error: ProcbusError): void;
}

/** What another connection would not mend: a refusal, or a helper that we do not understand, or the other way round. */
const finalCodes: ReadonlySet<ErrorCode> = new Set([
  'not-permitted',
  'not-granted',
  'not-a-helper',
  'version-mismatch',
  'hello-expected',
  'bad-frame',
  'frame-too-large',
  'bad-message',
  'unknown-message',
]);

/** A connection that has lasted for so long, in ms, was a good one: after it, waits are short again. */
const goodTime = 5000;

/** What a bus is connected by. */
export class Link {
  /** Resolves when there will be no connection any more. */
  readonly closed: Promise<void>;
  readonly #user: LinkUser;
  readonly #options: LinkOptions;
  readonly #ending = new AbortController();
  readonly #waiting = new Set<Deferred<Connection>>();
  /** The connection that there is, or was last. */
  #connection: Connection;
  #end: ProcbusError | undefined;

  constructor(first: Connection, user: LinkUser, options: LinkOptions) {
    this.#user = user;
    this.#options = options;
    this.#connection = first;
    this.closed = this.#last();
  }

  /** Why there will be no connection any more. */
  get end(): ProcbusError | undefined {
    return this.#end;
  }

  /** What the helper at the other end said of itself, or the last one did. */
  get hello(): HelperHello {
    return this.#connection.hello;
  }

  /** The connection, where there is one. */
  get connection(): Connection | undefined {
    return this.#connection.isOpen ? this.#connection : undefined;
  }

  /** Whether a connection that ends for a reason is, or has been, followed by another one. */
  survives(reason: unknown): boolean {
    return (
      this.#options.reopen !== undefined &&
      !this.#ending.signal.aborted &&
      reason instanceof ProcbusError &&
      !finalCodes.has(reason.code)
    );
  }

  /**
   * The connection, as soon as there is one.
   *
   * @param signal - gives up waiting: the promise rejects with the signal's reason
   * @throws ProcbusError what the link ended with
   */
  async connected(signal?: AbortSignal): Promise<Connection> {
    signal?.throwIfAborted();
    if (this.#end !== undefined) throw this.#end;
    const { connection } = this;
    if (connection !== undefined) return connection;
    const waiting = deferred<Connection>();
    const onAbort = (): void => waiting.reject(signal?.reason);
    signal?.addEventListener('abort', onAbort);
    this.#waiting.add(waiting);
    try {
      return await waiting.promise;
    } finally {
      this.#waiting.delete(waiting);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Ends the connection that there is, or the attempts to make one. */
  async close(): Promise<void> {
    this.#ending.abort(closedError());
    this.#connection.close();
    await this.closed;
  }

  async #last(): Promise<void> {
    const { reopen } = this.#options;
    let failures = 0;
    for (;;) {
      const begin = performance.now();
      const reason = await this.#connection.ended;
      if (reopen === undefined || !this.survives(reason)) return this.#finish(reason);
      this.#user.disconnected(reason);
      if (performance.now() - begin >= goodTime) failures = 0;
      try {
        failures = await this.#reconnect(reopen, reason, failures);
      } catch (error) {
        return this.#finish(error as ProcbusError);
      }
      this.#user.connected(this.#connection);
      for (const waiting of this.#waiting) waiting.resolve(this.#connection);
      this.#tell({ connected: true });
    }
  }

  /**
   * Connects again.
   *
   * @param failures - attempts before, none of which has led to anything lasting
   * @returns the same for the next time
   */
  async #reconnect(reopen: Opener, reason: ProcbusError, failures: number): Promise<number> {
    const { signal } = this.#ending;
    let error = reason;
    for (let attempt = 1; ; attempt++) {
      const wait = backoff(failures + attempt);
      this.#tell({ connected: false, error, attempt, wait });
      await pause(wait, signal);
      try {
        const connection = await reopen(signal);
        // We may have been closed in the moment that it was made.
        if (signal.aborted) connection.close();
        signal.throwIfAborted();
        this.#connection = connection;
        return failures + attempt;
      } catch (failure) {
        signal.throwIfAborted();
        if (!this.survives(failure)) throw failure;
        error = failure as ProcbusError;
      }
    }
  }

  #finish(reason: ProcbusError): void {
    this.#end = reason;
    for (const waiting of this.#waiting) waiting.reject(reason);
    this.#user.ended(reason);
  }

  #tell(change: ConnectionChange): void {
    const { onConnection } = this.#options;
    // Not from within: what it throws, or closes, must not meet us halfway.
    if (onConnection !== undefined) queueMicrotask(() => onConnection(change));
  }
}
