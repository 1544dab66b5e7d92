/*
 * Subscriptions that see the same: matched and packed once, and all of them share the bytes.
 *
 * Idea: a few events go out at once; when they come fast they are held back, for `maxDelay` at most, so
 * that one message tells of many.
 * Invariant: every receiver of a group is handed the same deliveries in the same order.
 * Receivers share what it costs to look through the stream, and who cannot pay leaves: so nobody's filter,
 * however costly, takes more of the helper's time than is its user's.
 */
import { EventWriter, pack, type Loss, type PackedEvents } from '@procbus/protocol';
import { clockOffset, monotonicTime, threadTime } from '../libc.ts';
import type { Moment } from './entries.ts';
import type { Delivery, Receiver } from './receiver.ts';
import type { Selection } from './selection.ts';
import { lossOf } from './view.ts';

/** So many events may go out at once, and so many more with each ms that passes. */
const burst = 64;
const burstPerMs = 0.5;
/** No more than so many are held back. */
const pendingLimit = 4096;
/** Looks at the clock after so many events, and at the purses of the receivers after so many ms. */
const clockInterval = 16;
const payInterval = 2;

export class Group {
  readonly selection: Selection;
  /** For how many ms an event may be held back. */
  readonly maxDelay: number;
  /** Those who are told what happens, as it happens. */
  readonly receivers: Set<Receiver> = new Set();
  /** Subscriptions, those included that are still told what happened before. */
  holders = 0;
  /** How far the stream has come. */
  readonly #seq: () => number;
  readonly #pending = new EventWriter();
  #timer: NodeJS.Timeout | undefined;
  #told = performance.now();
  #allowance = burst;
  /** ms that were spent and not been paid for yet. */
  #spent = 0;

  constructor(selection: Selection, maxDelay: number, seq: () => number) {
    this.selection = selection;
    this.maxDelay = maxDelay;
    this.#seq = seq;
  }

  /** Takes events that may be for this group, in order. */
  take(moments: readonly Moment[]): void {
    const [first] = moments;
    if (first === undefined) return;
    this.#settleUp(first.seq - 1);
    let begun = threadTime();
    let looked = performance.now();
    let count = 0;
    for (const moment of moments) {
      if (this.receivers.size === 0) return;
      this.selection.show(this.#pending, moment.seq, moment);
      // A clock of the wall is cheaper to look at, and never behind that of the CPU.
      if (++count % clockInterval !== 0 || performance.now() - looked < payInterval) continue;
      const now = threadTime();
      this.#spent += now - begun;
      this.#settleUp(moment.seq);
      begun = threadTime();
      looked = performance.now();
    }
    this.#spent += threadTime() - begun;
  }

  /** Tells what was taken, now or soon. */
  settle(): void {
    const { count } = this.#pending;
    if (count === 0) return;
    const now = performance.now();
    const passed = now - this.#told;
    const allowance = Math.min(burst, this.#allowance + passed * burstPerMs);
    // A timer comes no earlier than in a ms.
    const left = this.maxDelay - passed;
    if (count <= allowance || left < 1 || count >= pendingLimit) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), left);
  }

  /**
   * Tells what was taken, now.
   *
   * @param seq - how far the stream has been looked through
   */
  flush(seq: number = this.#seq()): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { count } = this.#pending;
    if (count === 0) return;
    this.#noteTold(count);
    for (const delivery of deliveriesOf(this.#pending.take(), seq)) {
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
    if (this.receivers.size === 0 || this.#pending.count > 0) return;
    if (performance.now() - this.#told < interval) return;
    this.#noteTold(0);
    const delivery = { ...positionOf(this.#seq()), packed: nothing, count: 0, from: 0, to: 0 };
    for (const receiver of this.receivers) receiver.deliver(delivery);
  }

  /** Has the receivers pay for what was spent; who cannot is told all up to here, and nothing more. */
  #settleUp(seq: number): void {
    const each = (1000 * this.#spent) / this.receivers.size;
    this.#spent = 0;
    const behind: Receiver[] = [];
    for (const receiver of this.receivers) if (receiver.pay?.(each) === false) behind.push(receiver);
    if (behind.length === 0) return;
    this.flush(seq);
    for (const receiver of behind) {
      this.receivers.delete(receiver);
      receiver.fallBehind?.(seq);
    }
  }

  #noteTold(count: number): void {
    const now = performance.now();
    this.#allowance = Math.max(0, Math.min(burst, this.#allowance + (now - this.#told) * burstPerMs) - count);
    this.#told = now;
  }
}

const nothing = pack([]);

/**
 * Packed events, ready to be delivered.
 *
 * @param seq - how far the stream has been looked through
 */
export function deliveriesOf(parts: readonly PackedEvents[], seq: number): Delivery[] {
  return parts.map((part) => ({ ...part, ...positionOf(part === parts.at(-1) ? seq : part.to) }));
}

function positionOf(seq: number): Pick<Delivery, 'seq' | 'clockOffset' | 'kernelTime'> {
  return { seq, clockOffset: clockOffset(), kernelTime: monotonicTime() };
}
