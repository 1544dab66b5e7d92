/*
 * A subscription, as the reader of it sees it: an async iterator over an {@link EventQueue}.
 *
 * It knows nothing of connections; a {@link Subscription} fills it, over as many of them as it takes.
 */
import {
  formatCursor,
  lossToEvent,
  ProcbusError,
  type Cursor,
  type EventReader,
  type FilterRequest,
  type LagPolicy,
  type LostEvent,
  type Loss,
  type StreamEvent,
  type StreamPosition,
} from '@procbus/protocol';
import { deferred, type Deferred } from './deferred.ts';
import { EventBatch } from './event-batch.ts';
import { EventQueue } from './event-queue.ts';

/** What to watch, and how. */
export interface WatchOptions extends FilterRequest {
  /** Ends the watch: the iteration throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Events that may wait to be read; what does not fit is told as `lost`. By default 65,536. */
  readonly bufferSize?: number | undefined;
  /**
   * Begin in the past, with what the helper's journal holds: behind a cursor, such as another watch's
   * {@link Watch.cursor}, or at a time.
   */
  readonly since?: string | Date | undefined;
  /**
   * What to do where the journal no longer reaches back to the cursor in `since`: throw `gone`, whose `oldest`
   * is the oldest cursor that it does reach back to (the default), or begin there, with a
   * `lost {where: "journal"}`. A time is never gone: there it is always the latter.
   */
  readonly onGone?: 'throw' | 'lost' | undefined;
  /** ms for which the helper may hold an event back, so that one message tells of many: 0 to 10,000, by default 20. */
  readonly maxDelay?: number | undefined;
  /**
   * What to do where events come faster than they are read: leave some out and tell so with `lost {where: "queue"}`
   * (`drop`, the default), or end the watch with the error `lagged` (`disconnect`). This watch then begins no
   * more by itself; {@link Watch.cursor} says where another one has to. Where it is the helper's queue that is full, the
   * connection ends, with all watches of it that asked for this; others go on over the next connection.
   */
  readonly onLag?: LagPolicy | undefined;
  /**
   * Called when the watch goes on over another connection, with what is missing in between, if anything is: it
   * is also told as an event in its place.
   */
  readonly onResume?: ((lost: LostEvent | undefined) => void) | undefined;
}

/** What a watch itself has to know of its options. */
export type ReadingOptions = Pick<WatchOptions, 'signal' | 'bufferSize' | 'onLag'> & {
  /** The cursor that it is to begin behind. */
  readonly since?: Cursor | undefined;
};

const defaultBufferSize = 65_536;

/** What a watch needs of its subscription. */
export interface WatchHost {
  /** Called once, when the watch ends on the reader's side. */
  unsubscribe(): void;
}

/**
 * An async iterator over events, for one reader. `break`, `return` and an aborted signal end the
 * subscription. It outlives connections, unless the bus was told not to reconnect: then it throws
 * `disconnected` or `stopping` once all that had arrived is read.
 */
export class Watch implements AsyncIterableIterator<StreamEvent, undefined> {
  /** Resolves when the helper has subscribed us, the first time: whatever happens from then on is told. */
  readonly ready: Promise<StreamPosition>;

  readonly #host: WatchHost;
  readonly #queue: EventQueue;
  readonly #signal: AbortSignal | undefined;
  readonly #failsOnLag: boolean;
  readonly #onAbort = (): void => this.#stop(this.#signal?.reason);
  readonly #begun: Deferred<StreamPosition> = deferred();
  /** What the reader is given: events, or batches of them. */
  #takeOne: () => unknown = () => this.#queue.take();
  #waiting: Deferred<IteratorResult<StreamEvent, undefined>> | undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #read = false;

  /** Use {@link Bus.watch}. */
  constructor(host: WatchHost, options: ReadingOptions = {}) {
    this.#host = host;
    this.#queue = new EventQueue(bufferSize(options), options.since);
    this.#signal = options.signal;
    this.#failsOnLag = options.onLag === 'disconnect';
    this.ready = this.#begun.promise;
    // A failure to subscribe reaches the reader too, so nobody has to wait for `ready`.
    this.ready.catch(() => undefined);
    this.#signal?.addEventListener('abort', this.#onAbort);
    // Not from within the constructor: the connection does not know this watch yet.
    if (this.#signal?.aborted === true) queueMicrotask(this.#onAbort);
  }

  /** Events that have arrived and are not read yet. */
  get buffered(): number {
    return this.#queue.buffered;
  }

  /**
   * The place in the stream behind the last event that was read, to be given as `since` to another watch: it
   * will miss nothing and double nothing. It moves on without events too, where the filter lets none
   * through. Undefined as long as the watch has not begun and has no cursor to begin behind.
   */
  get cursor(): string | undefined {
    const { read } = this.#queue;
    return read === undefined ? undefined : formatCursor(read);
  }

  /** @internal How far the stream has arrived. */
  get received(): Cursor | undefined {
    return this.#queue.received;
  }

  /** @throws ProcbusError `usage` for a second reader: each would get a part of the events */
  [Symbol.asyncIterator](): this {
    if (this.#read) {
      throw new ProcbusError('usage', 'this watch has a reader already', {
        remedy: 'Call bus.watch() once for each reader.',
      });
    }
    this.#read = true;
    return this;
  }

  /**
   * The same events, a message's at a time, in the place of the watch itself: for those who look at many. The
   * cursor lies behind a batch as soon as the next one is asked for.
   *
   * @throws ProcbusError `usage` for a second reader
   */
  batches(): AsyncIterableIterator<EventBatch | LostEvent, undefined> {
    this[Symbol.asyncIterator]();
    this.#takeOne = () => {
      const taken = this.#queue.takeAll();
      return taken === undefined || 'type' in taken ? taken : new EventBatch(taken);
    };
    const batches = {
      next: this.next.bind(this),
      return: this.return.bind(this),
      [Symbol.asyncIterator]: () => batches,
    };
    return batches as unknown as AsyncIterableIterator<EventBatch | LostEvent, undefined>;
  }

  async next(): Promise<IteratorResult<StreamEvent, undefined>> {
    const result = this.#poll();
    if (result !== undefined) return result;
    if (this.#waiting !== undefined) throw twoAtOnce();
    this.#waiting = deferred();
    return this.#waiting.promise;
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#stop(undefined);
    return { done: true, value: undefined };
  }

  /**
   * @internal What is delivered from here on lies behind a place.
   *
   * @param missing - what is missing before it
   */
  begin({ epoch, seq, clockOffset }: Cursor & StreamPosition, missing?: Loss): LostEvent | undefined {
    if (this.#ended) return undefined;
    this.#queue.begin({ epoch, seq }, missing);
    this.#begun.resolve({ seq, clockOffset });
    this.#wake();
    return missing === undefined ? undefined : lossToEvent(missing);
  }

  /** @internal Takes what the helper sent: the stream has been looked through up to `seq`. */
  deliver(seq: number, events: EventReader): void {
    if (this.#ended) return;
    if (this.#failsOnLag && !this.#queue.fits(events.left)) {
      this.#host.unsubscribe();
      this.fail(lagged());
      return;
    }
    this.#queue.add(seq, events);
    this.#wake();
  }

  /** @internal Takes a loss, in its place. */
  lose(loss: Loss): void {
    if (this.#ended) return;
    this.#queue.lose(loss);
    this.#wake();
  }

  /** @internal Leaves out what is told up to a place, which the reader has reached some other way. */
  skipTo(place: Cursor): void {
    this.#queue.skipTo(place);
  }

  /** @internal Ends the watch; what has arrived can still be read, then `error` is thrown. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#finish(error);
    this.#failure = { error };
    this.#wake();
  }

  /** Ends the watch on the reader's side: nothing more is read. */
  #stop(reason: unknown): void {
    if (this.#ended) return;
    this.#finish(reason ?? new ProcbusError('disconnected', 'the watch was left before it had begun'));
    this.#queue.clear();
    this.#failure = reason === undefined ? undefined : { error: reason };
    this.#host.unsubscribe();
    this.#wake();
  }

  #finish(error: unknown): void {
    this.#ended = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#begun.reject(error);
  }

  /** What next() gives, as far as that is known by now. */
  #poll(): IteratorResult<StreamEvent, undefined> | undefined {
    const event = this.#take();
    if (event !== undefined) return { done: false, value: event };
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      throw error;
    }
    return this.#ended ? { done: true, value: undefined } : undefined;
  }

  /** The next event that has arrived. */
  #take(): StreamEvent | undefined {
    try {
      return this.#takeOne() as StreamEvent | undefined;
    } catch (error) {
      // A rejected next() ends the reader's loop, but does not call return().
      this.#stop(undefined);
      throw error;
    }
  }

  /** Settles a reader that waits, if there is anything to settle it with. */
  #wake(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    try {
      const result = this.#poll();
      if (result === undefined) this.#waiting = waiting;
      else waiting.resolve(result);
    } catch (error) {
      waiting.reject(error);
    }
  }
}

function bufferSize({ bufferSize: size = defaultBufferSize }: ReadingOptions): number {
  if (Number.isSafeInteger(size) && size > 0) return size;
  throw new ProcbusError('usage', `bufferSize: ${size} is not a number of events`);
}

/** @internal The error of a reader that asks for the next event before it has got the last one. */
export function twoAtOnce(): ProcbusError {
  return new ProcbusError('usage', 'next() is called before the last one has settled');
}

function lagged(): ProcbusError {
  return new ProcbusError('lagged', 'the watch is read too slowly: events came faster than they were read', {
    remedy: 'Read faster, watch less, or give it a larger bufferSize; watch again with since: watch.cursor.',
  });
}
