/*
 * One subscription: first what happened before, where that was asked for, then what happens.
 *
 * Idea: as long as it replays it is no receiver of its group; in the same turn in which the journal has
 * nothing more to tell it becomes one. So there is no seam. One that falls behind replays again, from there.
 */
import type { FilterRequest, Loss, SubscriptionStart } from '@procbus/protocol';
import { takenSince, threadTime } from '../libc.ts';
import type { Group } from './group.ts';
import type { Receiver } from './receiver.ts';
import type { Replay } from './replay.ts';
import type { Selection } from './selection.ts';

/** What a subscription needs of the bus. */
export interface Membership {
  readonly group: Group;
  /** Gives the membership up. */
  leave(): void;
}

/** Makes what tells a receiver what came behind a number. */
export type Replayer = (selection: Selection, receiver: Receiver, seq: number) => Replay;

/** Told how many entries of the journal were looked at, and how many µs that took. */
export type OnWork = (entries: number, time: number) => void;

/** Where a subscription begins that does not begin now. */
interface Beginning {
  /** Behind this number. */
  readonly seq: number;
  /** What is missing before anything is told. */
  readonly missing?: Loss | undefined;
}

export class Subscription {
  /** What its subscriber is answered. */
  readonly start: SubscriptionStart;
  readonly #receiver: Receiver;
  readonly #replayer: Replayer;
  readonly #onWork: OnWork | undefined;
  /** What is missing before anything is told. */
  readonly #missing: Loss | undefined;
  #membership: Membership;
  /** Undefined while it is told what happens as it happens. */
  #replay: Replay | undefined;
  #turn: NodeJS.Immediate | undefined;
  #hasEnded = false;

  constructor(
    membership: Membership,
    receiver: Receiver,
    start: SubscriptionStart,
    {
      replayer,
      onWork,
      from,
    }: { replayer: Replayer; onWork?: OnWork | undefined; from?: Beginning | undefined },
  ) {
    this.#membership = membership;
    this.#receiver = receiver;
    this.start = start;
    this.#replayer = replayer;
    this.#onWork = onWork;
    this.#missing = from?.missing;
    if (from !== undefined) this.#replay = replayer(membership.group.selection, receiver, from.seq);
  }

  /** The filter as it is bound. */
  get request(): FilterRequest {
    return this.#membership.group.selection.request;
  }

  /** Whether what is told now comes from the journal. */
  get isReplaying(): boolean {
    return this.#replay !== undefined;
  }

  /** Begins to tell; to be called in the same turn, behind the answer. */
  begin(): void {
    if (this.#missing !== undefined) this.#receiver.lose(this.#missing);
    if (this.isReplaying) this.resume();
    else this.#join();
  }

  /** There may be room for more. */
  resume(): void {
    if (!this.isReplaying || this.#hasEnded) return;
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.advance();
    });
  }

  /** Tells the next piece of what happened before, now, if there is room for it. */
  advance(): void {
    if (this.#replay === undefined || this.#hasEnded || !this.#receiver.hasRoom()) return;
    const begun = threadTime();
    const entries = this.#replay.step();
    this.#onWork?.(entries, takenSince(begun));
    if (entries > 0) this.resume();
    else this.#join();
  }

  /** Goes on from the journal, as its group tells it nothing any more behind a number. */
  fallBehind(seq: number): void {
    this.#replay = this.#replayer(this.#membership.group.selection, this.#receiver, seq);
    this.resume();
  }

  /** Moves to another group: the grant has changed. */
  moveTo(membership: Membership): void {
    const former = this.#membership;
    former.group.flush();
    former.group.receivers.delete(this.#receiver);
    this.#membership = membership;
    if (this.#replay === undefined) this.#join();
    else this.#replay.selection = membership.group.selection;
    former.leave();
  }

  /** Ends it. What has happened so far is told. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearImmediate(this.#turn);
    const { group } = this.#membership;
    if (group.receivers.has(this.#receiver)) group.flush();
    group.receivers.delete(this.#receiver);
    this.#membership.leave();
  }

  #join(): void {
    const { group } = this.#membership;
    // What waits there has been told already, from the journal, or is from before.
    group.flush();
    group.receivers.add(this.#receiver);
    this.#replay = undefined;
  }
}
