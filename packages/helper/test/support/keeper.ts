/*
 * A receiver that keeps what it is told.
 */
import { unpack, type Loss, type SubscribeOptions, type WireProcess } from '@procbus/protocol';
import type { Broadcast } from '../../src/bus/broadcast.ts';
import type { Delivery, Receiver } from '../../src/bus/receiver.ts';
import type { Asker } from '../../src/bus/selection.ts';
import type { Snapshot } from '../../src/bus/snapshot.ts';
import type { Subscription } from '../../src/bus/subscription.ts';
import { root } from './bus.ts';

/** An event as it was unpacked, or a hole. */
export type Item = readonly unknown[] | Pick<Loss, 'where' | 'count' | 'from' | 'to'>;

export class Keeper implements Receiver {
  readonly deliveries: Delivery[] = [];
  readonly losses: Loss[] = [];
  /** All that it was told, in order. */
  readonly items: Item[] = [];
  /** How many more pieces it takes of what happened before. */
  room = Infinity;
  /** What does not lie behind that where the stream was said to be. */
  readonly misplaced: Item[] = [];
  /** Whether it pays, when it is asked to; it may fall behind. */
  pays: () => boolean = () => true;
  #subscription: Subscription | undefined;
  /** How far the stream has been looked through: where it would come back to. */
  position = 0;

  /** All events that it was told, in order. */
  get wires(): (readonly unknown[])[] {
    return this.items.filter((item): item is readonly unknown[] => !('where' in item));
  }

  /** The pids of these. */
  get pids(): unknown[] {
    return this.wires.map((wire) => wire[4]);
  }

  /** The numbers of these. */
  get numbers(): unknown[] {
    return this.wires.map((wire) => wire[1]);
  }

  /** Subscribes, and begins. Without options nothing is held back. */
  subscribeTo(
    broadcast: Broadcast,
    request: object,
    asker: Asker = root,
    options: SubscribeOptions = {},
  ): Subscription {
    const subscription = broadcast.subscribe(request, asker, { maxDelay: 0, ...options }, this);
    this.#subscription = subscription;
    this.position = subscription.start.seq;
    subscription.begin();
    return subscription;
  }

  deliver(delivery: Delivery): void {
    this.deliveries.push(delivery);
    const items = unpack(delivery.packed) as unknown[][];
    items.forEach((item) => this.#take(item, numberOf(item)));
    this.position = Math.max(this.position, delivery.seq);
  }

  lose(loss: Loss): void {
    this.losses.push(loss);
    const { where, count, from, to } = loss;
    // A replay may begin with a hole that stands at its very beginning.
    const isFirst = this.items.length === 0 && where === 'journal';
    this.#take({ where, count, from, to }, isFirst ? from + 1 : from);
    this.position = to;
  }

  pay(): boolean {
    return this.pays();
  }

  fallBehind(seq: number): void {
    this.#subscription?.fallBehind(seq);
  }

  #take(item: Item, from: number): void {
    if (from <= this.position) this.misplaced.push(item);
    this.items.push(item);
    this.position = numberOf(item);
  }

  hasRoom(): boolean {
    return this.room-- > 0;
  }
}

/** The number of an event; the last one of a hole. */
export function numberOf(item: Item): number {
  return 'where' in item ? item.to : Number(item[1]);
}

/** All that a snapshot shows. */
export function listed(snapshot: Snapshot): WireProcess[] {
  return [...snapshot.pieces()].flat();
}
