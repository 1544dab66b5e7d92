/*
 * The bus: numbers every event, and tells each subscription those that match its filter.
 *
 * Idea: subscriptions with equal filters form a group; a batch is matched and packed once for each
 * group, and all of its receivers share the bytes.
 * Invariant: every receiver of a group is handed the same deliveries in the same order.
 * Sequence numbers count what the kernel told the helper, and what it dropped, before any filter.
 */
import { randomBytes } from 'node:crypto';
import {
  eventToWire,
  matches,
  maxHelperPayload,
  pack,
  type EventType,
  type Filter,
  type Loss,
  type WireEvent,
} from '@procbus/protocol';
import type { Batch } from '../kernel/kernel-stream.ts';
import { interestOf, ownInterest, unionOf, type Interest } from '../kernel/socket-filter.ts';
import type { Told } from '../processes/process-table.ts';
import { circumstancesOf } from './circumstances.ts';

/** A batch whose events come with the processes they are about, each as it is at that moment. */
export type ToldBatch = Omit<Batch, 'events'> & { readonly events: Iterable<Told> };

/** Events for one subscription, packed and ready to send. */
export interface Delivery {
  /** The stream has been looked through up to here. */
  readonly seq: number;
  readonly clockOffset: bigint;
  /** A packed array of `count` events, numbered within `from` to `to`. */
  readonly packed: Buffer;
  readonly count: number;
  readonly from: number;
  readonly to: number;
  /** When the batch was taken from the kernel, in ns of CLOCK_MONOTONIC. */
  readonly kernelTime: bigint;
}

/** Where a subscription's events go. Neither call may block or throw. */
export interface Receiver {
  deliver(delivery: Delivery): void;
  lose(loss: Loss): void;
}

interface Group {
  readonly filter: Filter;
  readonly interest: Interest;
  readonly receivers: Set<Receiver>;
}

/** Bytes of packed events in one delivery at most; the rest of its message takes less than 64. */
const longestDelivery = maxHelperPayload - 64;

export class Broadcast {
  /** Names this run: a random number, as hexadecimal digits. */
  readonly epoch: string = randomBytes(8).toString('hex');
  /** What the kernel has told so far, by type. */
  readonly received: Map<EventType, number> = new Map();
  /** What the kernel has dropped so far. */
  dropped = 0;

  readonly #groups = new Map<string, Group>();
  readonly #onInterest: (interest: Interest) => void;
  #seq = 0;

  /** @param onInterest - told what all subscriptions together want, whenever that may have changed */
  constructor(onInterest: (interest: Interest) => void) {
    this.#onInterest = onInterest;
  }

  /** The last sequence number given out. */
  get seq(): number {
    return this.#seq;
  }

  /** What the helper and all subscriptions together want of the kernel. */
  get interest(): Interest {
    return unionOf([ownInterest, ...[...this.#groups.values()].map((group) => group.interest)]);
  }

  /** Adds a subscription. What the kernel tells from now on reaches it. */
  subscribe(filter: Filter, receiver: Receiver): void {
    const group = this.#groups.get(filter.key);
    if (group !== undefined) {
      group.receivers.add(receiver);
      return;
    }
    this.#groups.set(filter.key, {
      filter,
      interest: interestOf(filter),
      receivers: new Set([receiver]),
    });
    this.#onInterest(this.interest);
  }

  /** Ends a subscription that {@link subscribe} began. */
  unsubscribe(filter: Filter, receiver: Receiver): void {
    const group = this.#groups.get(filter.key);
    if (group?.receivers.delete(receiver) !== true || group.receivers.size > 0) return;
    this.#groups.delete(filter.key);
    this.#onInterest(this.interest);
  }

  /** Numbers the events of a batch and hands them, and what was lost, to whom they concern. */
  publish(batch: Batch): void {
    const first = this.#seq + 1;
    this.#seq += batch.events.length;
    for (const { type } of batch.events) this.received.set(type, (this.received.get(type) ?? 0) + 1);
    for (const group of this.#groups.values()) this.#deliver(group, batch, first);
    if (batch.lost === 'unknown') this.#lose(batch, 0);
    else if (batch.lost > 0) this.#lose(batch, batch.lost);
  }

  #deliver(group: Group, batch: Batch, first: number): void {
    const { clockOffset, kernelTime } = batch;
    const wanted: WireEvent[] = [];
    batch.events.forEach((event, index) => {
      if (matches(group.filter, event)) wanted.push(eventToWire(first + index, event));
    });
    for (let start = 0; start < wanted.length; start += deliveryLimit) {
      const events = wanted.slice(start, start + deliveryLimit);
      const [from, to] = [seqOf(events[0]), seqOf(events.at(-1))];
      const seq = start + events.length === wanted.length ? this.#seq : to;
      const packed = pack(events);
      const delivery = { seq, clockOffset, packed, count: events.length, from, to, kernelTime };
      for (const receiver of group.receivers) receiver.deliver(delivery);
    }
  }

  #lose({ clockOffset, kernelTime }: Batch, count: number): void {
    this.dropped += count;
    const from = this.#seq + 1;
    // A loss that nobody can count takes a number all the same, to be told in its place.
    this.#seq += Math.max(1, count);
    const loss: Loss = { where: 'kernel', count, from, to: this.#seq, clockOffset, kernelTime };
    for (const group of this.#groups.values()) {
      for (const receiver of group.receivers) receiver.lose(loss);
    }
  }
}

function seqOf(event: WireEvent | undefined): number {
  return Number(event?.[1] ?? 0);
}
