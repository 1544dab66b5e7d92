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
  type EventType,
  type Filter,
  type Loss,
  type WireEvent,
} from '@procbus/protocol';
import type { Batch } from '../kernel/kernel-stream.ts';
import { interestOf, ownInterest, unionOf, type Interest } from '../kernel/socket-filter.ts';
import * as libc from '../libc.ts';
import type { ProcessTable } from '../processes/process-table.ts';
import type { Told } from '../processes/told.ts';
import { bindFilter, subtreesOf } from './bind-filter.ts';
import { packParts } from './parts.ts';
import { takeSnapshot, type Snapshot } from './snapshot.ts';
import { circumstancesOf, lifeOf } from './view.ts';

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

/** Where events come from, and whom they are about. */
export interface Source {
  readonly table: ProcessTable;
  /** Told what all subscriptions together want, whenever that may have changed. */
  setInterest(interest: Interest): void;
  /** Publishes what has been told by now. */
  catchUp(): void;
}

interface Group {
  readonly filter: Filter;
  readonly interest: Interest;
  readonly receivers: Set<Receiver>;
  /** Ends the watching of the subtrees that the filter asks for. */
  readonly unwatch: () => void;
}

export class Broadcast {
  /** Names this run: a random number, as hexadecimal digits. */
  readonly epoch: string = randomBytes(8).toString('hex');
  /** What the kernel has told so far, by type. */
  readonly received: Map<EventType, number> = new Map();
  /** What the kernel has dropped so far. */
  dropped = 0;

  readonly #groups = new Map<string, Group>();
  readonly #source: Source;
  #seq = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  /** The last sequence number given out. */
  get seq(): number {
    return this.#seq;
  }

  /** What the helper and all subscriptions together want of the kernel. */
  get interest(): Interest {
    return unionOf([ownInterest, ...[...this.#groups.values()].map((group) => group.interest)]);
  }

  /**
   * Adds a subscription. What the kernel tells from now on reaches it.
   *
   * @returns ends the subscription
   * @throws ProcbusError `bad-filter`
   */
  subscribe(request: unknown, receiver: Receiver): () => void {
    const group = this.#groupOf(this.#bind(request));
    group.receivers.add(receiver);
    return () => {
      group.receivers.delete(receiver);
      if (group.receivers.size === 0) this.#remove(group);
    };
  }

  /**
   * All processes that a filter lets through, as of now.
   *
   * @throws ProcbusError `bad-filter`
   */
  snapshot(request: unknown, ended: boolean): Snapshot {
    const filter = this.#bind(request);
    const { table } = this.#source;
    const unwatch = table.watchSubtrees(subtreesOf(filter));
    try {
      const now = { seq: this.#seq, kernelTime: libc.monotonicTime(), clockOffset: libc.clockOffset() };
      return takeSnapshot(table, filter, ended, now);
    } finally {
      unwatch();
    }
  }

  #bind(request: unknown): Filter {
    // The process that it is about may have begun a moment ago.
    this.#source.catchUp();
    return bindFilter(request, this.#source.table);
  }

  #groupOf(filter: Filter): Group {
    const known = this.#groups.get(filter.key);
    if (known !== undefined) return known;
    const unwatch = this.#source.table.watchSubtrees(subtreesOf(filter));
    const group = { filter, interest: interestOf(filter), receivers: new Set<Receiver>(), unwatch };
    this.#groups.set(filter.key, group);
    this.#source.setInterest(this.interest);
    return group;
  }

  #remove({ filter, unwatch }: Group): void {
    this.#groups.delete(filter.key);
    unwatch();
    this.#source.setInterest(this.interest);
  }

  /** Numbers the events of a batch and hands them, and what was lost, to whom they concern. */
  publish(batch: ToldBatch): void {
    const groups = [...this.#groups.values()].map((group) => ({ group, wanted: [] as WireEvent[] }));
    const deliver = (): void => {
      for (const { group, wanted } of groups) {
        if (wanted.length > 0) this.#deliver(group, batch, wanted.splice(0));
      }
    };
    let { lost } = batch;
    for (const { event, process } of batch.events) {
      if (event.synthetic === true && lost !== 0) {
        // Only what was lost makes such an event necessary.
        deliver();
        this.#lose(batch, lost);
        lost = 0;
      }
      const seq = ++this.#seq;
      this.received.set(event.type, (this.received.get(event.type) ?? 0) + 1);
      const life = lifeOf(event, process);
      for (const { group, wanted } of groups) {
        if (!matches(group.filter, event, process, life)) continue;
        wanted.push(eventToWire(seq, event, circumstancesOf(event, process, group.filter.include)));
      }
    }
    deliver();
    if (lost !== 0) this.#lose(batch, lost);
  }

  /** Hands events to a group, in as many deliveries as it takes. */
  #deliver({ receivers }: Group, { clockOffset, kernelTime }: ToldBatch, events: readonly WireEvent[]): void {
    for (const { items, packed } of packParts(events)) {
      const [from, to] = [seqOf(items[0]), seqOf(items.at(-1))];
      const seq = items.at(-1) === events.at(-1) ? this.#seq : to;
      const delivery = { seq, clockOffset, packed, count: items.length, from, to, kernelTime };
      for (const receiver of receivers) receiver.deliver(delivery);
    }
  }

  #lose({ clockOffset, kernelTime }: ToldBatch, lost: Batch['lost']): void {
    const count = lost === 'unknown' ? 0 : lost;
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
