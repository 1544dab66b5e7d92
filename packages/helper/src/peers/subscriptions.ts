/*
 * The subscriptions of one client.
 */
import {
  helperMessage,
  ProcbusError,
  type SubscribeOptions,
  type SubscriptionStart,
} from '@procbus/protocol';
import type { Broadcast } from '../bus/broadcast.ts';
import type { Receiver } from '../bus/receiver.ts';
import type { Asker } from '../bus/selection.ts';
import type { Subscription } from '../bus/subscription.ts';
import { Gate } from './gate.ts';
import type { Outbox } from './outbox.ts';
import type { Share } from './quota.ts';

/** Subscriptions of one connection at most. */
const limit = 64;

interface Held {
  readonly subscription: Subscription;
  readonly options: SubscribeOptions;
  /** Gives back what it takes of the user's. */
  readonly release: () => void;
}

export class Subscriptions {
  readonly #broadcast: Broadcast;
  readonly #outbox: Outbox;
  readonly #share: Share;
  readonly #onLag: (reason: ProcbusError) => void;
  /** By the numbers of the requests that made them. */
  readonly #held = new Map<number, Held>();

  /** @param onLag - told when one is not read in time that is not to go on then */
  constructor(broadcast: Broadcast, outbox: Outbox, share: Share, onLag: (reason: ProcbusError) => void) {
    this.#broadcast = broadcast;
    this.#outbox = outbox;
    this.#share = share;
    this.#onLag = onLag;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Whether one is still told of the past. */
  get isReplaying(): boolean {
    return [...this.#held.values()].some(({ subscription }) => subscription.isReplaying);
  }

  /**
   * Adds one, answers, and begins to tell.
   *
   * @throws ProcbusError `subscription-in-use`, `too-many-subscriptions`, `quota`, or as {@link Broadcast.subscribe}
   */
  add(request: number, filter: unknown, asker: Asker, options: SubscribeOptions): void {
    if (this.#held.has(request)) {
      throw new ProcbusError('subscription-in-use', `there is a subscription ${request} already`);
    }
    if (this.#held.size >= limit) {
      throw new ProcbusError('too-many-subscriptions', `at most ${limit} in one connection`, {
        remedy: 'Unsubscribe first, or open another connection.',
      });
    }
    const discharge = this.#share.subscribe();
    const gate = new Gate(this.#outbox, this.#share, () => this.#held.get(request)?.subscription.advance());
    const release = (): void => {
      gate.close();
      discharge();
    };
    try {
      const onWork = (entries: number, time: number): void => this.#share.spend(0, Math.max(entries, time));
      const receiver = this.#receiver(request, options, gate);
      const subscription = this.#broadcast.subscribe(filter, asker, options, receiver, onWork);
      this.#held.set(request, { subscription, options, release });
      this.#answer(request, subscription.start);
      subscription.begin();
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Ends one. What has happened so far is told.
   *
   * @throws ProcbusError `no-such-subscription`
   */
  end(id: number): void {
    const held = this.#held.get(id);
    if (held === undefined) {
      throw new ProcbusError('no-such-subscription', `there is no subscription ${id}`);
    }
    held.subscription.end();
    this.#held.delete(id);
    this.#outbox.forget(id);
    held.release();
  }

  endAll(): void {
    for (const id of this.#held.keys()) this.end(id);
  }

  /** There may be room for more of what waits in the journal. */
  resume(): void {
    for (const { subscription } of this.#held.values()) subscription.resume();
  }

  /**
   * Goes on under another grant.
   *
   * @throws ProcbusError as {@link Broadcast.regrant}
   */
  regrant(asker: Asker): void {
    for (const { subscription, options } of this.#held.values()) {
      this.#broadcast.regrant(subscription, asker, options);
    }
  }

  #answer(request: number, start: SubscriptionStart): void {
    this.#outbox.send(helperMessage.result(request, helperMessage.subscriptionStart(start)));
  }

  /** Where the events of a subscription go; a replay stands in the line of the user's requests. */
  #receiver(request: number, { onLag }: SubscribeOptions, gate: Gate): Receiver {
    const outbox = this.#outbox;
    const subscription = (): Subscription | undefined => this.#held.get(request)?.subscription;
    const isReplaying = (): boolean => subscription()?.isReplaying === true;
    return {
      deliver: (delivery) => {
        if (isReplaying()) outbox.replay(request, delivery);
        else if (!outbox.deliver(request, delivery) && onLag === 'disconnect') this.#lag(request);
      },
      lose: (loss) => (isReplaying() ? outbox.tell(request, loss) : outbox.lose(request, loss)),
      hasRoom: () => gate.letThrough(),
      pay: (time) => this.#share.pay(time),
      fallBehind: (seq) => subscription()?.fallBehind(seq),
    };
  }

  /** Not from within the delivery, in which others are told too. */
  #lag(request: number): void {
    queueMicrotask(() =>
      this.#onLag(
        new ProcbusError('lagged', `subscription ${request} has not been read in time`, {
          remedy: 'Read faster, ask for fewer events, or subscribe without onLag: disconnect.',
        }),
      ),
    );
  }
}
