/*
 * All groups: who is in one, what they want together, and what is kept of those that nobody is in.
 *
 * A group whose last subscriber has gone is kept for a while: what it wanted of the kernel, and the subtrees
 * it watched, go on, so that who comes back misses nothing.
 */
import { defaultMaxDelay } from '@procbus/protocol';
import { interestOf, ownInterest, unionOf, type Interest } from '../kernel/socket-filter.ts';
import type { ProcessTable } from '../processes/process-table.ts';
import { Group } from './group.ts';
import type { Selection } from './selection.ts';
import type { Membership } from './subscription.ts';

/** Groups without subscribers that are kept at most. */
const lingeringLimit = 64;

export class Groups implements Iterable<Group> {
  /** Since which number each subtree is watched, by the id of its root. */
  readonly watched: Map<string, number> = new Map();
  readonly #groups = new Map<string, Group>();
  /** What ends each group. */
  readonly #ends = new Map<Group, () => void>();
  /** Those that nobody is in, and the timer that ends each; the oldest first. */
  readonly #lingering = new Map<Group, NodeJS.Timeout>();
  readonly #table: ProcessTable;
  readonly #linger: number;
  readonly #seq: () => number;
  readonly #onChange: () => void;

  /**
   * @param linger - for how many ms the wishes of a group outlive its last subscriber
   * @param seq - how far the stream has come
   * @param onChange - told when what all want together may have changed
   */
  constructor(table: ProcessTable, linger: number, seq: () => number, onChange: () => void) {
    this.#table = table;
    this.#linger = linger;
    this.#seq = seq;
    this.#onChange = onChange;
  }

  [Symbol.iterator](): Iterator<Group> {
    return this.#groups.values();
  }

  /** What the helper and all subscriptions together want of the kernel. */
  get interest(): Interest {
    const wishes = [...this.#groups.values()].map(({ selection }) => interestOf(selection.filter));
    return unionOf([ownInterest, ...wishes]);
  }

  /** For how many ms all of them let an event be held back. */
  get patience(): number {
    return Math.min(defaultMaxDelay, ...[...this.#groups.values()].map(({ maxDelay }) => maxDelay));
  }

  /** Makes a subscription one of those who see the same. */
  join(selection: Selection, maxDelay: number): Membership {
    const key = `${maxDelay} ${selection.key}`;
    const group = this.#groups.get(key) ?? this.#make(key, selection, maxDelay);
    clearTimeout(this.#lingering.get(group));
    this.#lingering.delete(group);
    group.holders++;
    return { group, leave: () => this.#leave(group) };
  }

  /** Keeps none any more that nobody is in. */
  close(): void {
    for (const timer of this.#lingering.values()) clearTimeout(timer);
  }

  #make(key: string, selection: Selection, maxDelay: number): Group {
    const group = new Group(selection, maxDelay, this.#seq);
    const unwatch = this.#watch(selection.subtrees);
    this.#groups.set(key, group);
    this.#ends.set(group, () => {
      this.#groups.delete(key);
      this.#ends.delete(group);
      this.#lingering.delete(group);
      unwatch();
      this.#onChange();
    });
    this.#onChange();
    return group;
  }

  #watch(subtrees: readonly string[]): () => void {
    const unwatch = this.#table.watchSubtrees(subtrees);
    for (const id of subtrees) if (!this.watched.has(id)) this.watched.set(id, this.#seq());
    return () => {
      unwatch();
      const { subtrees: watched } = this.#table;
      for (const id of subtrees) if (!watched.isWatched(id)) this.watched.delete(id);
    };
  }

  #leave(group: Group): void {
    if (--group.holders > 0) return;
    if (this.#linger === 0) {
      this.#ends.get(group)?.();
      return;
    }
    this.#lingering.set(group, setTimeout(() => this.#ends.get(group)?.(), this.#linger).unref());
    const [oldest] = this.#lingering.keys();
    if (this.#lingering.size <= lingeringLimit || oldest === undefined) return;
    clearTimeout(this.#lingering.get(oldest));
    this.#ends.get(oldest)?.();
  }
}
