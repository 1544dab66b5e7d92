/*
 * Events behind a snapshot, and another snapshot wherever a hole in them leaves nothing to go on from.
 *
 * Invariant: whoever applies each event to the list, and begins a new list with each snapshot, has at
 * every cursor what the helper would list there; except between a `lost` and what mends it.
 */
import type { Cursor, StreamEvent } from '@procbus/protocol';
import type { Snapshot } from './snapshot.ts';
import { twoAtOnce, type Watch, type WatchOptions } from './watch.ts';

/** Stands in the stream behind a hole: the processes are these, and all that comes from here on is told. */
export interface SnapshotEvent extends Snapshot {
  readonly type: 'snapshot';
}

/** What to list and to watch, and how; the signal ends the watch, too. It always begins now. */
export interface ListAndWatchOptions extends Omit<WatchOptions, 'since' | 'onGone'> {
  /** Whether to list processes too that have ended not long ago. */
  readonly ended?: boolean | undefined;
}

/** A snapshot, and all that happens from then on. */
export interface SnapshotAndEvents extends Snapshot {
  readonly events: SnapshotWatch;
}

/** A snapshot, and where in the stream it is true. */
export interface Listed {
  readonly place: Cursor;
  readonly snapshot: Snapshot;
}

type Result = IteratorResult<StreamEvent | SnapshotEvent, undefined>;

/** An async iterator over the events behind a snapshot, for one reader; see {@link Bus.listAndWatch}. */
export class SnapshotWatch implements AsyncIterableIterator<StreamEvent | SnapshotEvent, undefined> {
  readonly #watch: Watch;
  readonly #list: (signal: AbortSignal) => Promise<Listed>;
  readonly #signal: AbortSignal | undefined;
  /** Whether what was yielded last was a hole that has to be listed over. */
  #torn = false;
  /** Whether it has ended as it could not list again. */
  #hasFailed = false;
  /** Gives up the list that is being made. */
  #listing: AbortController | undefined;

  /**
   * Use {@link Bus.listAndWatch}.
   *
   * @param list - lists again, over as many connections as it takes
   */
  constructor(watch: Watch, list: (signal: AbortSignal) => Promise<Listed>, signal: AbortSignal | undefined) {
    this.#watch = watch;
    this.#list = list;
    this.#signal = signal;
  }

  /** Events that have arrived and are not read yet. */
  get buffered(): number {
    return this.#watch.buffered;
  }

  /** The place in the stream behind what was read last, see {@link Watch.cursor}. */
  get cursor(): string | undefined {
    return this.#watch.cursor;
  }

  /** @throws ProcbusError `usage` for a second reader */
  [Symbol.asyncIterator](): this {
    this.#watch[Symbol.asyncIterator]();
    return this;
  }

  async next(): Promise<Result> {
    if (this.#listing !== undefined) throw twoAtOnce();
    if (this.#torn) return this.#listAgain();
    if (this.#hasFailed) return { done: true, value: undefined };
    const result = await this.#watch.next();
    // What the kernel lost, the helper looks up itself, and tells as synthetic events.
    this.#torn = result.done !== true && result.value.type === 'lost' && result.value.where !== 'kernel';
    return result;
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#listing?.abort();
    return this.#watch.return();
  }

  async #listAgain(): Promise<Result> {
    const listing = new AbortController();
    const onAbort = (): void => listing.abort();
    this.#listing = listing;
    this.#signal?.addEventListener('abort', onAbort);
    if (this.#signal?.aborted === true) onAbort();
    try {
      const { place, snapshot } = await this.#list(listing.signal);
      this.#watch.skipTo(place);
      this.#torn = false;
      return { done: false, value: { type: 'snapshot', ...snapshot } };
    } catch (error) {
      this.#torn = false;
      // Given up: the watch has ended, and knows whether that is an error.
      if (listing.signal.aborted) return await this.#watch.next();
      this.#hasFailed = true;
      // A rejected next() ends the reader's loop, but does not call return().
      await this.#watch.return();
      throw error;
    } finally {
      this.#signal?.removeEventListener('abort', onAbort);
      this.#listing = undefined;
    }
  }
}
