/*
 * A subscription, as the reader of it sees it.
 *
 * Idea: what the helper sends is queued as it came and decoded when it is read; the queue is bounded
 * in events. What does not fit is counted, and the reader is told in its place.
 * Invariant: events read + events in `lost {where: "queue"}` = events that arrived.
 */
import {
  eventFromWire,
  joinLosses,
  lossToEvent,
  ProcbusError,
  stampFromWire,
  type FilterRequest,
  type Loss,
  type StreamEvent,
  type StreamPosition,
} from '@procbus/protocol';

/** What to watch, and how. */
export interface WatchOptions extends FilterRequest {
  /** Ends the watch: the iteration throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Events that may wait to be read; what does not fit is told as `lost`. By default 65,536. */
  readonly bufferSize?: number | undefined;
}

const defaultBufferSize = 65_536;

/** Events of one delivery that are still to be read. */
interface Delivery {
  readonly events: readonly unknown[];
  readonly clockOffset: bigint;
  next: number;
}

/** What a watch needs of its connection. */
export interface WatchHost {
  /** Called once, when the watch ends on the reader's side. */
  unsubscribe(): void;
}

/**
 * An async iterator over events, for one reader. `break`, `return` and an aborted signal end the
 * subscription; a lost connection throws `disconnected` or `stopping` once all that had arrived is read.
 */
export class Watch implements AsyncIterableIterator<StreamEvent, undefined> {
  /** Resolves when the helper has subscribed us: whatever happens from then on is told. */
  readonly ready: Promise<StreamPosition>;

  readonly #host: WatchHost;
  readonly #limit: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#stop(this.#signal?.reason);
  readonly #queue: (Delivery | Loss)[] = [];
  #buffered = 0;
  /** What is told up to here is not for the reader; 0 once that is past. */
  #skipTo = 0;
  #waiting:
    | { resolve: (result: IteratorResult<StreamEvent, undefined>) => void; reject: (error: unknown) => void }
    | undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #read = false;

  /** Use {@link Bus.watch}. */
  constructor(
    host: WatchHost,
    ready: Promise<StreamPosition>,
    options: Pick<WatchOptions, 'signal' | 'bufferSize'>,
  ) {
    this.#host = host;
    this.#limit = bufferSize(options);
    this.#signal = options.signal;
    this.ready = ready;
    // A failure to subscribe reaches the reader too, so nobody has to wait for `ready`.
    ready.catch((error: unknown) => this.fail(error));
    this.#signal?.addEventListener('abort', this.#onAbort);
    // Not from within the constructor: the connection does not know this watch yet.
    if (this.#signal?.aborted === true) queueMicrotask(this.#onAbort);
  }

  /** Events that have arrived and are not read yet. */
  get buffered(): number {
    return this.#buffered;
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

  async next(): Promise<IteratorResult<StreamEvent, undefined>> {
    const event = this.#take();
    if (event !== undefined) return { done: false, value: event };
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      throw error;
    }
    if (this.#ended) return { done: true, value: undefined };
    if (this.#waiting !== undefined)
      throw new ProcbusError('usage', 'next() is called before the last one has settled');
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#stop(undefined);
    return { done: true, value: undefined };
  }

  /** @internal Takes what the helper sent. */
  deliver(events: readonly unknown[], clockOffset: bigint): void {
    if (this.#ended) return;
    this.#add(events, clockOffset);
    this.#wake();
  }

  /** @internal Takes a loss, in its place. */
  lose(loss: Loss): void {
    if (this.#ended) return;
    this.#addLoss(loss);
    this.#wake();
  }

  /** @internal Leaves out what is told up to a sequence number; to be called before anything is read. */
  skipTo(seq: number): void {
    const queue = this.#queue.splice(0);
    this.#buffered = 0;
    this.#skipTo = seq;
    for (const queued of queue) {
      if ('where' in queued) this.#addLoss(queued);
      else this.#add(queued.events, queued.clockOffset);
    }
  }

  /** @internal Ends the watch; what has arrived can still be read, then `error` is thrown. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#finish();
    this.#failure = { error };
    this.#wake();
  }

  #add(delivered: readonly unknown[], clockOffset: bigint): void {
    const events = this.#fresh(delivered);
    if (events.length === 0) return;
    if (this.#buffered + events.length > this.#limit) {
      this.#addLoss(lossOf(events, clockOffset));
      return;
    }
    this.#buffered += events.length;
    this.#queue.push({ events, clockOffset, next: 0 });
  }

  #addLoss(loss: Loss): void {
    if (loss.to <= this.#skipTo) return;
    // Behind the last delivery there is at most one loss of each kind, however long nobody reads.
    for (let at = this.#queue.length - 1; at >= 0; at--) {
      const queued = this.#queue[at] as Delivery | Loss;
      if (!('where' in queued)) break;
      if (queued.where !== loss.where) continue;
      this.#queue[at] = joinLosses(queued, loss);
      return;
    }
    this.#queue.push(loss.from > this.#skipTo ? loss : lossBehind(loss, this.#skipTo));
  }

  /** Events that are not to be skipped. Once there is one, so are all that follow. */
  #fresh(events: readonly unknown[]): readonly unknown[] {
    if (this.#skipTo === 0) return events;
    const first = events.findIndex((wire) => !isUpTo(wire, this.#skipTo));
    if (first < 0) return [];
    this.#skipTo = 0;
    return first === 0 ? events : events.slice(first);
  }

  /** Ends the watch on the reader's side: nothing more is read. */
  #stop(reason: unknown): void {
    if (this.#ended) return;
    this.#finish();
    this.#queue.length = 0;
    this.#buffered = 0;
    this.#failure = reason === undefined ? undefined : { error: reason };
    this.#host.unsubscribe();
    this.#wake();
  }

  #finish(): void {
    this.#ended = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  /** The next event that has arrived. */
  #take(): StreamEvent | undefined {
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      if ('where' in head) {
        this.#queue.shift();
        return lossToEvent(head);
      }
      const wire = head.events[head.next++];
      if (head.next === head.events.length) this.#queue.shift();
      this.#buffered--;
      const event = this.#decode(wire, head.clockOffset);
      if (event !== undefined) return event;
    }
    return undefined;
  }

  #decode(wire: unknown, clockOffset: bigint): StreamEvent | undefined {
    try {
      return eventFromWire(wire, clockOffset);
    } catch (error) {
      // A rejected next() ends the reader's loop, but does not call return().
      this.#stop(undefined);
      throw error;
    }
  }

  /** Settles a reader that waits, by the rules of {@link next}. */
  #wake(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    this.next().then(waiting.resolve, waiting.reject);
  }
}

function bufferSize({ bufferSize: size = defaultBufferSize }: Pick<WatchOptions, 'bufferSize'>): number {
  if (Number.isSafeInteger(size) && size > 0) return size;
  throw new ProcbusError('usage', `bufferSize: ${size} is not a number of events`);
}

/** The loss of a whole delivery. */
function lossOf(events: readonly unknown[], clockOffset: bigint): Loss {
  const { seq: from } = stampFromWire(events[0]);
  const { seq: to, kernelTime } = stampFromWire(events.at(-1));
  return { where: 'queue', count: events.length, from, to, kernelTime, clockOffset };
}

/** The part of a loss behind a sequence number. How many it was there nobody knows; not more than fit. */
function lossBehind(loss: Loss, seq: number): Loss {
  const from = seq + 1;
  return { ...loss, from, count: Math.min(loss.count, loss.to - from + 1) };
}

/** A malformed event is not skipped: its reader is told. */
function isUpTo(wire: unknown, seq: number): boolean {
  return Array.isArray(wire) && typeof wire[1] === 'number' && wire[1] <= seq;
}
