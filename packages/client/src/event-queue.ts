/*
 * What has arrived for a reader and is not read yet, and the two places in the stream that go with it:
 * how far it has arrived, and how far it has been read.
 *
 * Idea: what the helper sends is queued as it came and read when somebody wants it; the queue is bounded
 * in events. What does not fit is counted, and told in its place.
 * Invariant: events read + events in `lost {where: "queue"}` = events that arrived; the place that has been
 * read up to has nothing unread before it, and nothing read behind it.
 */
import {
  joinLosses,
  lossToEvent,
  type Cursor,
  type EventReader,
  type LostEvent,
  type Loss,
  type StreamEvent,
} from '@procbus/protocol';

/** What all that is queued has. */
interface Queued {
  readonly epoch: string;
  /** Where a reader stands when it has read this, and all before. */
  upTo: number;
}

/** Events of one delivery that are still to be read; none, where only the place moves. */
interface Delivery extends Queued {
  readonly events: EventReader | undefined;
}

interface Hole extends Queued {
  readonly loss: Loss;
}

export class EventQueue {
  readonly #limit: number;
  readonly #items: (Delivery | Hole)[] = [];
  #buffered = 0;
  /** What was taken as a whole last, as long as it has not been read. */
  #taken: Delivery | undefined;
  #received: Cursor | undefined;
  #read: Cursor | undefined;
  /** What is told up to here is not for the reader; undefined once that is past. */
  #skipTo: Cursor | undefined;

  /**
   * @param limit - events that it holds at most
   * @param since - the place that the stream is to begin behind, where that is known
   */
  constructor(limit: number, since?: Cursor) {
    this.#limit = limit;
    this.#received = since;
    this.#read = since;
  }

  /** Events that wait to be read. */
  get buffered(): number {
    return this.#buffered;
  }

  /** How far the stream has arrived; undefined where it has not begun and nobody said where it is to. */
  get received(): Cursor | undefined {
    return this.#received;
  }

  /** How far the stream has been read; undefined in the same case. */
  get read(): Cursor | undefined {
    return this.#read;
  }

  /** Whether there is room for as many events. */
  fits(events: number): boolean {
    return this.#buffered + events <= this.#limit;
  }

  /**
   * From here on, what is put in lies behind a place.
   *
   * @param hole - what is missing before it
   */
  begin(place: Cursor, hole?: Loss): void {
    if (this.#skipTo?.epoch !== place.epoch) this.#skipTo = undefined;
    this.#received = place;
    this.#read ??= place;
    if (hole !== undefined) this.#addLoss(hole, place.epoch);
    this.#reach(place);
  }

  /** Puts events in; the stream has been looked through up to `seq`. */
  add(seq: number, events: EventReader): void {
    const { epoch } = this.#arrive(seq);
    this.#freshen(events, epoch);
    if (events.left > 0 && this.fits(events.left)) {
      this.#buffered += events.left;
      this.#items.push({ epoch, upTo: seq, events });
      return;
    }
    if (events.left > 0) this.#addLoss(lossOf(events), epoch);
    this.#reach({ epoch, seq });
  }

  /** Puts a loss in, in its place. */
  lose(loss: Loss): void {
    const { epoch } = this.#arrive(loss.to);
    this.#addLoss(loss, epoch);
    this.#reach({ epoch, seq: loss.to });
  }

  /** Leaves out what is told up to a place that has been reached some other way. */
  skipTo(place: Cursor): void {
    const items = this.#items.splice(0);
    // Before the first of its epoch lie only older ones; behind the last only such as begin with a hole.
    const first = items.findIndex(({ epoch }) => epoch === place.epoch);
    this.#buffered = 0;
    this.#skipTo = place;
    this.#read = place;
    if (this.#received === undefined || this.#received.epoch === place.epoch || first < 0) {
      this.#received = later(this.#received, place);
    }
    for (const item of first < 0 ? [] : items.slice(first)) this.#putBack(item);
  }

  /** The next event that has arrived. */
  take(): StreamEvent | undefined {
    for (let head = this.#items[0]; head !== undefined; head = this.#items[0]) {
      if ('loss' in head) {
        this.#shift(head);
        return lossToEvent(head.loss);
      }
      const { events } = head;
      if (events === undefined) {
        this.#shift(head);
        continue;
      }
      this.#buffered--;
      const event = events.next();
      if (events.left === 0) this.#shift(head);
      else if (event !== undefined) this.#read = { epoch: head.epoch, seq: event.seq };
      if (event !== undefined) return event;
    }
    return undefined;
  }

  /**
   * All events of the next delivery that has arrived, or a loss. Whatever was taken like this before has been read
   * when this is called.
   */
  takeAll(): EventReader | LostEvent | undefined {
    if (this.#taken !== undefined && this.#items[0] === this.#taken) this.#shift(this.#taken);
    this.#taken = undefined;
    for (let head = this.#items[0]; head !== undefined; head = this.#items[0]) {
      if ('loss' in head) {
        this.#shift(head);
        return lossToEvent(head.loss);
      }
      if (head.events !== undefined) {
        this.#buffered -= head.events.left;
        this.#taken = head;
        return head.events;
      }
      this.#shift(head);
    }
    return undefined;
  }

  /** Forgets what has not been read. */
  clear(): void {
    this.#items.length = 0;
    this.#buffered = 0;
  }

  #shift({ epoch, upTo }: Queued): void {
    this.#items.shift();
    this.#read = later(this.#read, { epoch, seq: upTo });
  }

  #arrive(seq: number): Cursor {
    if (this.#received === undefined) throw new TypeError('nothing arrives before the beginning');
    const { epoch } = this.#received;
    this.#received = later(this.#received, { epoch, seq });
    return this.#received;
  }

  /** Moves the place behind all that waits. */
  #reach({ epoch, seq }: Cursor): void {
    const last = this.#items.at(-1);
    if (last === undefined) {
      if (this.#read?.epoch !== epoch || this.#read.seq < seq) this.#read = { epoch, seq };
    } else if (last.epoch === epoch) {
      last.upTo = Math.max(last.upTo, seq);
    } else {
      this.#items.push({ epoch, upTo: seq, events: undefined });
    }
  }

  #addLoss(added: Loss, epoch: string): void {
    const skip = this.#skipTo?.epoch === epoch ? this.#skipTo.seq : -1;
    if (added.to <= skip) return;
    let loss = added.from > skip ? added : lossBehind(added, skip);
    let upTo = loss.to;
    // Behind the last delivery there is at most one loss of each kind, however long nobody reads.
    for (let at = this.#items.length - 1; at >= 0; at--) {
      const item = this.#items[at];
      if (item === undefined || !('loss' in item)) break;
      if (item.loss.where !== loss.where) continue;
      loss = joined(item, loss, epoch);
      if (item.epoch === epoch) {
        this.#items[at] = { epoch, upTo: Math.max(item.upTo, upTo), loss };
        return;
      }
      upTo = loss.to;
      this.#items.splice(at, 1);
      break;
    }
    this.#items.push({ epoch, upTo, loss });
  }

  #putBack(item: Delivery | Hole): void {
    const { epoch, upTo } = item;
    if ('loss' in item) {
      this.#addLoss(item.loss, epoch);
    } else if (item.events !== undefined) {
      this.#freshen(item.events, epoch);
      this.#buffered += item.events.left;
      if (item.events.left > 0) this.#items.push(item);
    }
    this.#reach({ epoch, seq: upTo });
  }

  /** Passes events that are to be skipped. Once there is one that is not, so are all that follow. */
  #freshen(events: EventReader, epoch: string): void {
    const skip = this.#skipTo;
    if (skip === undefined || skip.epoch !== epoch || events.left === 0) return;
    while (events.left > 0 && isUpTo(events, skip.seq)) events.skip();
    if (events.left > 0) this.#skipTo = undefined;
  }
}

function later(a: Cursor | undefined, b: Cursor): Cursor {
  return a !== undefined && a.epoch === b.epoch && a.seq > b.seq ? a : b;
}

/** Two losses of one kind as one. */
function joined(earlier: Hole, loss: Loss, epoch: string): Loss {
  const both = joinLosses(earlier.loss, loss);
  // Numbers of another epoch do not compare.
  return earlier.epoch === epoch ? both : { ...loss, count: both.count };
}

/** The loss of a whole delivery. */
function lossOf(events: EventReader): Loss {
  const { left: count, clockOffset } = events;
  const { seq: from } = events.stamp;
  while (events.left > 1) events.skip();
  const { seq: to, kernelTime } = events.stamp;
  return { where: 'queue', count, from, to, kernelTime, clockOffset };
}

/** The part of a loss behind a sequence number. How many it was there nobody knows; not more than fit. */
function lossBehind(loss: Loss, seq: number): Loss {
  const from = seq + 1;
  return { ...loss, from, count: Math.min(loss.count, loss.to - from + 1) };
}

/** A malformed event is not skipped: its reader is told. */
function isUpTo(events: EventReader, seq: number): boolean {
  try {
    return events.stamp.seq <= seq;
  } catch {
    return false;
  }
}
