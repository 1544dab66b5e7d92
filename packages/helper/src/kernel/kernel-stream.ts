/*
 * The first station of the data path: waits for the kernel, takes what it has queued, settles doubtful
 * exits, and hands on batches of events in order, with what was lost.
 */
import type { KernelEvent } from '@procbus/protocol';
import { clockOffset, monotonicTime, watchReadable, type Watch } from '../libc.ts';
import type { Connector } from './connector.ts';
import { HeldExits } from './held-exits.ts';
import { Pace } from './pace.ts';

/** What is handed on in one go. */
export interface Batch {
  readonly events: readonly KernelEvent[];
  /**
   * How many events the kernel dropped since the last batch. They belong behind this one's first
   * events; some of the others may have come later. Unknown where it had stopped telling events.
   */
  readonly lost: number | 'unknown';
  /** When the batch was taken, in ns of CLOCK_MONOTONIC. */
  readonly kernelTime: bigint;
  /** ns to add to a kernel time for the time since 1970; taken anew, as suspend and settime change it. */
  readonly clockOffset: bigint;
}

/** Events in one batch at most, so that clients get their turn in a storm. */
const batchLimit = 4096;
/** After a silence of so many ms we make sure that we still hear. */
const silenceLimit = 60_000;
/** Events taken from the kernel ahead of the batch at most; the rest waits in the kernel's queue. */
const queueLimit = 65_536;

export class KernelStream {
  readonly #connector: Connector;
  readonly #onBatch: (batch: Batch) => void;
  readonly #exits: HeldExits;
  readonly #watch: Watch;
  /** What the kernel has told and is not handed on yet. */
  #queue: KernelEvent[] = [];
  readonly #pace = new Pace(performance.now());
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** When the kernel has told something last, in ms. */
  #heardAt = performance.now();
  readonly #silence: NodeJS.Timeout;

  /** Begins to watch. Batches are handed on from the event loop, never from within another call. */
  constructor(connector: Connector, onBatch: (batch: Batch) => void, silence: number = silenceLimit) {
    this.#connector = connector;
    this.#onBatch = onBatch;
    this.#exits = new HeldExits((exit) => {
      this.#queue.unshift(exit);
      this.#next();
    });
    this.#watch = watchReadable(connector.fd, () => this.#next());
    this.#silence = setTimeout(() => this.#listenAgain(), silence).unref();
  }

  /** Events that were taken from the kernel and are not handed on yet. */
  get pending(): number {
    return this.#connector.backlog.length + this.#queue.length + this.#exits.size;
  }

  /** Stops watching, and hands on what has been told so far. The connector stays open. */
  close(): void {
    this.#watch.close();
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#handOn();
    // Not for ever: in a storm there is always more.
    for (let round = queueLimit / batchLimit; round > 0 && this.#queue.length > 0; round--) this.#handOn();
    // What is left was taken already, so it is told without another look at what follows.
    while (this.#queue.length > 0) this.#handOn(false);
    this.#exits.close();
    this.#isClosed = true;
  }

  /**
   * Whether the kernel tells us something: it has within the last `ms`, or it tells of an event of our own. Where it
   * does not, we subscribe again.
   */
  hears(ms: number): boolean {
    return performance.now() - this.#heardAt < ms || this.#makeSure();
  }

  /** Hands on, now, all that the kernel has told so far; nothing once it is closed. Not from within a batch. */
  catchUp(): void {
    if (this.#isClosed) return;
    const now = monotonicTime();
    this.#queue.unshift(...this.#exits.takeOver());
    do this.#handOn();
    while ((this.#queue[0]?.kernelTime ?? now) < now);
    if (this.#queue.length > 0) this.#next();
  }

  /** For how many ms an event may be held back. */
  set patience(ms: number) {
    this.#pace.patience = ms;
  }

  /** Hands a batch on, unless we rest: then it waits for its turn. */
  #next(): void {
    if (this.#timer === undefined) this.#turn();
  }

  #turn(): void {
    const events = this.#handOn();
    const rest = this.#pace.after(events, performance.now());
    // Clients get their turn before the rest of a long queue. What came while we looked ahead can wait as long as
    // all that is to come: else each batch would be followed by a small one.
    if (this.#queue.length > 0 && (rest === 0 || events === batchLimit)) this.#pause(0);
    else if (rest > 0) this.#pause(rest);
    else this.#watch.resume();
  }

  /** In place of waking for each event, comes back after some ms. */
  #pause(ms: number): void {
    this.#watch.pause();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#turn();
    }, ms);
  }

  /** Returns how many events there were. */
  #handOn(takesMore = true): number {
    const take = (): void => {
      if (takesMore) this.#take();
    };
    take();
    const count = Math.min(this.#queue.length, batchLimit);
    const events = this.#exits.settle(this.#queue, count, take);
    this.#queue = this.#queue.slice(count);
    // Asked after the events were taken, so that none of them is from behind a loss that nobody knows of.
    const lost = this.#connector.takeDropped();
    if (events.length > 0 || lost > 0) this.#tell(events, lost);
    if (count > 0) this.#heardAt = performance.now();
    this.#silence.refresh();
    return count;
  }

  #tell(events: readonly KernelEvent[], lost: Batch['lost']): void {
    this.#onBatch({ events, lost, kernelTime: monotonicTime(), clockOffset: clockOffset() });
  }

  /** A machine may be quiet; an event of our own tells whether that is why we hear nothing. */
  #listenAgain(): void {
    this.#silence.refresh();
    this.#makeSure();
  }

  /** Before Linux 6.6 any program can, by mistake, switch events off for all listeners. */
  #makeSure(): boolean {
    let hears = this.#connector.hears(this.#queue);
    if (!hears) {
      this.#connector.listen();
      hears = this.#connector.hears(this.#queue);
      if (hears) this.#tell([], 'unknown');
    }
    if (hears) this.#heardAt = performance.now();
    if (this.#queue.length > 0) this.#next();
    return hears;
  }

  /** Appends what is waiting in the kernel's queue. */
  #take(): void {
    this.#connector.drain(this.#queue, queueLimit);
  }
}
