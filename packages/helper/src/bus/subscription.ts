/*
 * One subscription: first what happened before, where that was asked for, then what happens.
 *
 * Idea: as long as it replays it is no receiver of its group; in the same turn in which the journal has
 * nothing more to tell it becomes one. So there is no seam.
 */
import type { FilterRequest, Loss, SubscriptionStart } from '@procbus/protocol';
import type { Group } from './group.ts';
import type { Receiver } from './receiver.ts';
import type { Replay } from './replay.ts';

/** What a subscription needs of the bus. */
export interface Membership {
  readonly group: Group;
  /** Gives the membership up. */
  leave(): void;
}

/** Where a subscription begins that does not begin now. */
interface Beginning {
  readonly replay?: Replay | undefined;
  /** What is missing before anything is told. */
  readonly missing?: Loss | undefined;
  /** Told how many entries of the journal were looked at. */
  readonly onWork?: ((entries: number) => void) | undefined;
}

export class Subscription {
  /** What its subscriber is answered. */
  readonly start: SubscriptionStart;
  readonly #receiver: Receiver;
  readonly #replay: Replay | undefined;
  /** What is missing before anything is told. */
  readonly #missing: Loss | undefined;
  #membership: Membership;
  #isReplaying: boolean;
  #turn: NodeJS.Immediate | undefined;
  #hasEnded = false;
  readonly #onWork: (entries: number) => void;

  constructor(membership: Membership, receiver: Receiver, start: SubscriptionStart, from: Beginning = {}) {
    this.#membership = membership;
    this.#receiver = receiver;
    this.start = start;
    this.#replay = from.replay;
    this.#missing = from.missing;
    this.#isReplaying = from.replay !== undefined;
    this.#onWork = from.onWork ?? (() => undefined);
  }

  /** The filter as it is bound. */
  get request(): FilterRequest {
    return this.#membership.group.selection.request;
  }

  /** Whether what is told now comes from the journal. */
  get isReplaying(): boolean {
    return this.#isReplaying;
  }

  /** Begins to tell; to be called in the same turn, behind the answer. */
  begin(): void {
    if (this.#missing !== undefined) this.#receiver.lose(this.#missing);
    if (this.#isReplaying) this.resume();
    else this.#join();
  }

  /** There may be room for more. */
  resume(): void {
    if (!this.#isReplaying || this.#hasEnded) return;
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#advance();
    });
  }

  /** Moves to another group: the grant has changed. */
  moveTo(membership: Membership): void {
    const former = this.#membership;
    former.group.flush();
    former.group.receivers.delete(this.#receiver);
    this.#membership = membership;
    if (this.#replay !== undefined) this.#replay.selection = membership.group.selection;
    if (!this.#isReplaying) this.#join();
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

  #advance(): void {
    if (this.#hasEnded || !this.#receiver.hasRoom()) return;
    const entries = this.#replay?.step() ?? 0;
    this.#onWork(entries);
    if (entries > 0) this.resume();
    else this.#join();
  }

  #join(): void {
    const { group } = this.#membership;
    // What waits there has been told already, from the journal, or is from before.
    group.flush();
    group.receivers.add(this.#receiver);
    this.#isReplaying = false;
  }
}
