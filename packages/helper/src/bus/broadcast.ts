/*
 * The bus: numbers every event, keeps it in the journal, and tells each subscription those that match.
 *
 * Sequence numbers count what the kernel told the helper, and what it dropped, before any filter.
 */
import { randomBytes } from 'node:crypto';
import {
  defaultMaxDelay,
  formatCursor,
  ProcbusError,
  type Cursor,
  type EventType,
  type Include,
  type Loss,
  type SubscribeOptions,
} from '@procbus/protocol';
import type { Batch } from '../kernel/kernel-stream.ts';
import { interestOf, ownInterest, type Interest } from '../kernel/socket-filter.ts';
import * as libc from '../libc.ts';
import type { ProcessTable } from '../processes/process-table.ts';
import type { Told } from '../processes/told.ts';
import { bindFilter } from './bind-filter.ts';
import { Groups } from './groups.ts';
import type { Moment } from './entries.ts';
import { Journal } from './journal.ts';
import type { Receiver } from './receiver.ts';
import { Replay } from './replay.ts';
import type { Asker, Selection } from './selection.ts';
import { Snapshot } from './snapshot.ts';
import { Subscription, type OnWork, type Replayer } from './subscription.ts';
import { withAlways } from './view.ts';

/** A batch whose events come with the processes they are about, each as it is at that moment. */
export type ToldBatch = Omit<Batch, 'events'> & { readonly events: Iterable<Told> };

/** Where events come from, and whom they are about. */
export interface Source {
  readonly table: ProcessTable;
  /**
   * Told what all subscriptions together want, whenever that may have changed.
   *
   * @param patience - ms for which all of them let an event be held back
   */
  setInterest(interest: Interest, patience: number): void;
  /** Publishes what has been told by now. */
  catchUp(): void;
}

/** What may be set. */
export interface BroadcastOptions {
  readonly journal?: Journal | undefined;
  /** Where the helper before us ended, if what came behind is what we tell first. */
  readonly predecessor?: Cursor | undefined;
  /** For how many ms the wishes of a group outlive its last subscriber. */
  readonly linger?: number | undefined;
  /** After how many ms of silence a subscriber is told how far the stream has come. */
  readonly heartbeat?: number | undefined;
  /** Entries of the journal that are looked at in one go. */
  readonly replayStep?: number | undefined;
}

export class Broadcast {
  /** Names this run: a random number, as hexadecimal digits. */
  readonly epoch: string = randomBytes(8).toString('hex');
  /** What the kernel has told so far, by type. */
  readonly received: Map<EventType, number> = new Map();
  /** What the kernel has dropped so far. */
  dropped = 0;
  readonly journal: Journal;

  readonly #groups: Groups;
  readonly #source: Source;
  readonly #replayStep: number | undefined;
  readonly #predecessor: Cursor | undefined;
  readonly #heart: NodeJS.Timeout;
  #seq = 0;

  constructor(source: Source, options: BroadcastOptions = {}) {
    const { journal = new Journal(), linger = 60_000, heartbeat = 5000, replayStep, predecessor } = options;
    this.#source = source;
    this.journal = journal;
    this.#groups = new Groups(
      source.table,
      linger,
      () => this.#seq,
      () => this.#setInterest(),
    );
    this.#replayStep = replayStep;
    this.#predecessor = predecessor;
    this.#heart = setInterval(() => this.#beat(heartbeat), heartbeat / 2).unref();
    journal.collect(ownInterest, 0);
  }

  /** The last sequence number given out. */
  get seq(): number {
    return this.#seq;
  }

  /** What the helper and all subscriptions together want of the kernel. */
  get interest(): Interest {
    return this.#groups.interest;
  }

  /**
   * Adds a subscription. All that the kernel tells behind its start reaches it, once it begins.
   *
   * @param onWork - told what it took to look at the journal
   * @throws ProcbusError `bad-filter`, `not-granted` or `gone`
   */
  subscribe(
    request: unknown,
    asker: Asker,
    options: SubscribeOptions,
    receiver: Receiver,
    onWork?: OnWork,
  ): Subscription {
    const selection = this.#bind(request, asker);
    const from = this.#startOf(options, asker);
    const membership = this.#groups.join(selection, options.maxDelay ?? defaultMaxDelay);
    const clockOffset = libc.clockOffset();
    const { roots } = selection;
    const replayer: Replayer = (which, whose, seq) =>
      new Replay(this.journal, which, whose, seq, this.#groups.watched, this.#replayStep);
    if (from === undefined) {
      return new Subscription(
        membership,
        receiver,
        { seq: this.#seq, clockOffset, roots },
        { replayer, onWork },
      );
    }
    const isWhole = !from.isCut && this.journal.covers(interestOf(selection.filter), from.seq);
    const missing: Loss | undefined = isWhole ? undefined : this.#lossAt(from.seq);
    const start = { seq: from.seq, clockOffset, roots };
    return new Subscription(membership, receiver, start, { replayer, onWork, from: { ...from, missing } });
  }

  /**
   * Shows a subscription as another grant lets see it, from now on.
   *
   * @throws ProcbusError `not-granted` or `bad-filter` where the grant does not let it go on
   */
  regrant(subscription: Subscription, asker: Asker, { maxDelay = defaultMaxDelay }: SubscribeOptions): void {
    const selection = this.#bind(subscription.request, asker);
    subscription.moveTo(this.#groups.join(selection, maxDelay));
  }

  /**
   * All processes that a filter lets through, as of now.
   *
   * @throws ProcbusError `bad-filter` or `not-granted`
   */
  snapshot(request: unknown, asker: Asker, ended: boolean): Snapshot {
    const selection = this.#bindSnapshot(request, asker);
    const { table } = this.#source;
    const unwatch = table.watchSubtrees(selection.subtrees);
    try {
      const now = { seq: this.#seq, kernelTime: libc.monotonicTime(), clockOffset: libc.clockOffset() };
      return new Snapshot(table, selection, ended, now);
    } finally {
      unwatch();
    }
  }

  /**
   * Shows what is left of a snapshot as another grant lets see it.
   *
   * @throws ProcbusError `not-granted` or `bad-filter` where the grant does not let it go on
   */
  regrantSnapshot(snapshot: Snapshot, asker: Asker): void {
    snapshot.selection = this.#bindSnapshot(snapshot.selection.request, asker);
  }

  /** Numbers the events of a batch and hands them, and what was lost, to whom they concern. */
  publish(batch: ToldBatch): void {
    const groups = [...this.#groups];
    const moments: Moment[] = [];
    const show = (): void => {
      for (const group of groups) group.take(moments);
      moments.length = 0;
    };
    let { lost } = batch;
    for (const { event, process, formerUid } of batch.events) {
      if (event.synthetic === true && lost !== 0) {
        // Only what was lost makes such an event necessary.
        show();
        this.#lose(batch, lost);
        lost = 0;
      }
      const moment = { seq: ++this.#seq, event, process, formerUid };
      this.received.set(event.type, (this.received.get(event.type) ?? 0) + 1);
      this.journal.add(moment);
      moments.push(moment);
    }
    show();
    if (lost !== 0) this.#lose(batch, lost);
    for (const group of groups) group.settle();
  }

  /** Tells what waits, and ends all timers. */
  close(): void {
    clearInterval(this.#heart);
    this.#groups.close();
    for (const group of this.#groups) {
      group.flush();
      // Who comes back to the next helper shall know that it has come this far.
      group.beat(0);
    }
  }

  #bindSnapshot(request: unknown, asker: Asker): Selection {
    return this.#bind(request, asker, withAlways([]));
  }

  #bind(request: unknown, asker: Asker, always?: readonly Include[]): Selection {
    // The process that it is about may have begun a moment ago.
    this.#source.catchUp();
    return bindFilter(request, asker, this.#source.table, always);
  }

  /** Where a replay begins, if there is to be one; and whether something before that is missing. */
  #startOf(
    { since, sinceTime }: SubscribeOptions,
    asker: Asker,
  ): { seq: number; isCut: boolean } | undefined {
    const { journal } = this;
    if (since !== undefined) {
      if (since.epoch === this.epoch && since.seq >= journal.oldest && since.seq <= this.#seq) {
        return { seq: since.seq, isCut: false };
      }
      const oldest = formatCursor({ epoch: this.epoch, seq: journal.oldest });
      const why = this.#whyGone(since);
      throw new ProcbusError('gone', `nothing can be told since ${formatCursor(since)}: ${why}`, {
        remedy: `Begin at the oldest cursor, ${oldest}, or anew with a snapshot.`,
        oldest,
        missing: this.#missingSince(since, asker),
      });
    }
    if (sinceTime === undefined) return undefined;
    const isCut = !journal.reachesBackTo(sinceTime);
    return { seq: isCut ? journal.oldest : journal.before(sinceTime, this.#seq), isCut };
  }

  #whyGone({ epoch, seq }: Cursor): string {
    if (epoch !== this.epoch) return 'it is of another run of procbusd';
    return seq > this.#seq ? 'nothing has got that far yet' : 'the journal no longer holds it';
  }

  /** How many events there were between a place in the stream of our predecessor and the oldest of ours. */
  #missingSince({ epoch, seq }: Cursor, { grant }: Asker): number | undefined {
    const last = this.#predecessor;
    // How many there were of all users is not for one who sees only what is his.
    if (epoch !== last?.epoch || seq > last.seq || grant.scope !== 'all') return undefined;
    return last.seq - seq + this.journal.oldest;
  }

  /** A loss of nobody knows what, before all that follows a number. */
  #lossAt(seq: number): Loss {
    const now = { kernelTime: libc.monotonicTime(), clockOffset: libc.clockOffset() };
    return { where: 'journal', count: 0, from: seq, to: seq, ...now };
  }

  #setInterest(): void {
    const { interest, patience } = this.#groups;
    this.#source.setInterest(interest, patience);
    this.journal.collect(interest, this.#seq);
  }

  #beat(interval: number): void {
    for (const group of this.#groups) group.beat(interval);
  }

  #lose({ clockOffset, kernelTime }: ToldBatch, lost: Batch['lost']): void {
    const count = lost === 'unknown' ? 0 : lost;
    this.dropped += count;
    // Whoever is cut off before they hear of it must not think that they have come this far.
    for (const group of this.#groups) group.flush();
    const from = this.#seq + 1;
    // A loss that nobody can count takes a number all the same, to be told in its place.
    this.#seq += Math.max(1, count);
    const loss: Loss = { where: 'kernel', count, from, to: this.#seq, clockOffset, kernelTime };
    this.journal.add(loss);
    for (const group of this.#groups) group.lose(loss);
  }
}
