/*
 * Subscriptions that see the same: matched and packed once, and all of them share the bytes.
 *
 * Idea: a few events go out at once; when they come fast they are held back, for `maxDelay` at most, so
 * that one message tells of many.
 * Invariant: every receiver of a group is handed the same deliveries in the same order.
 */
import { pack, type Loss, type WireEvent } from '@procbus/protocol';
import { clockOffset, monotonicTime } from '../libc.ts';
import type { Moment } from './journal.ts';
import { packParts } from './parts.ts';
import type { Delivery, Receiver } from './receiver.ts';
import type { Selection } from './selection.ts';
import { lossOf } from './view.ts';

/** So many events may go out at once, and so many more with each ms that passes. */
const burst = 64;
const burstPerMs = 0.5;
/** No more than so many are held back. */
const pendingLimit = 4096;

export class Group {
  readonly selection: Selection;
  /** Those who are told what happens, as it happens. */
  readonly receivers: Set<Receiver> = new Set();
  /** Subscriptions, those included that are still told what happened before. */
  holders = 0;
  readonly #maxDelay: number;
  /** How far the stream has come. */
  readonly #seq: () => number;
  #pending: WireEvent[] = [];
  #timer: NodeJS.Timeout | undefined;
  #told = performance.now();
  #allowance = burst;

  constructor(selection: Selection, maxDelay: number, seq: () => number) {
    this.selection = selection;
    this.#maxDelay = maxDelay;
    this.#seq = seq;
  }

  /** Takes an event that may be for this group. */
  take(moment: Moment): void {
    if (this.receivers.size === 0) return;
    const wire = this.selection.show(moment.seq, moment);
    if (wire !== undefined) this.#pending.push(wire);
  }

  /** Tells what was taken, now or soon. */
  settle(): void {
    const count = this.#pending.length;
    if (count === 0) return;
    const now = performance.now();
    const passed = now - this.#told;
    const allowance = Math.min(burst, this.#allowance + passed * burstPerMs);
    if (count <= allowance || passed >= this.#maxDelay || count >= pendingLimit) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), this.#maxDelay - passed);
  }

  /** Tells what was taken, now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const events = this.#pending;
    if (events.length === 0) return;
    this.#pending = [];
    this.#noteTold(events.length);
    for (const delivery of deliveriesOf(events, this.#seq())) {
      for (const receiver of this.receivers) receiver.deliver(delivery);
    }
  }

  /** Tells of a loss; all that came before has to be told already. */
  lose(loss: Loss): void {
    const told = lossOf(this.selection.lens, loss);
    for (const receiver of this.receivers) receiver.lose(told);
  }

  /** Tells those who were told nothing for so many ms how far the stream has come. */
  beat(interval: number): void {
    // While something is held back, nobody has been told how far it has come.
    if (this.receivers.size === 0 || this.#pending.length > 0) return;
    if (performance.now() - this.#told < interval) return;
    this.#noteTold(0);
    const delivery = { ...positionOf(this.#seq()), packed: nothing, count: 0, from: 0, to: 0 };
    for (const receiver of this.receivers) receiver.deliver(delivery);
  }

  #noteTold(count: number): void {
    const now = performance.now();
    this.#allowance = Math.max(0, Math.min(burst, this.#allowance + (now - this.#told) * burstPerMs) - count);
    this.#told = now;
  }
}

const nothing = pack([]);

/**
 * Packs events in as many deliveries as it takes.
 *
 * @param seq - how far the stream has been looked through
 */
export function* deliveriesOf(
  events: readonly WireEvent[],
  seq: number,
): Generator<Delivery, void, undefined> {
  for (const { items, packed } of packParts(events)) {
    const [from, to] = [seqOf(items[0]), seqOf(items.at(-1))];
    yield {
      ...positionOf(items.at(-1) === events.at(-1) ? seq : to),
      packed,
      count: items.length,
      from,
      to,
    };
  }
}

function positionOf(seq: number): Pick<Delivery, 'seq' | 'clockOffset' | 'kernelTime'> {
  return { seq, clockOffset: clockOffset(), kernelTime: monotonicTime() };
}

function seqOf(event: WireEvent | undefined): number {
  return Number(event?.[1] ?? 0);
}
