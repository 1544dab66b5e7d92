/*
 * What each user costs the helper, and how much of that is theirs.
 *
 * Idea: the connections of a user share one account. Connections, subscriptions and queued bytes are charged
 * and discharged in pairs. Requests, and the work that they cause, are paid with time: who has spent more than
 * time has paid for waits, and is not refused.
 * Invariants: an account is the sum of its connections; each of them closes with nothing left on it; what was
 * not charged cannot be discharged. No account exceeds its limits.
 * Trade-offs: what a request costs is known afterwards, so that a user may be in debt for one of them. Debts
 * outlive connections: connecting again does not pay them.
 */
import { ProcbusError } from '@procbus/protocol';
import { Turns } from './turns.ts';

/** How much one user may take, in all connections together. */
export interface Limits {
  readonly connections: number;
  readonly subscriptions: number;
  /** Bytes that wait to be read. */
  readonly queuedBytes: number;
  readonly requestsPerSecond: number;
  /** µs of the helper's time for requests, replays and filters; to look at a process or an entry counts as one at least. */
  readonly workPerSecond: number;
}

/** Far more than people need, and little enough that the helper serves others beside a flood. */
export const defaultLimits: Limits = {
  connections: 256,
  subscriptions: 1024,
  queuedBytes: 64 * 1024 * 1024,
  requestsPerSecond: 200,
  workPerSecond: 200_000,
};

/** What is charged, and discharged again. */
export interface Usage {
  readonly connections: number;
  readonly subscriptions: number;
  readonly queuedBytes: number;
}

type Charges = { -readonly [What in keyof Usage]: Usage[What] };

/** So much of a rate may be spent at once, in ms. */
const burst = 2000;
/** The same for work, as others have to wait meanwhile. */
const workBurst = 500;

/** Accounts below this number are not worth looking for those that can be forgotten. */
const fewAccounts = 64;

/** What was spent of a rate, as the time at which it is paid for: so rates may differ from one spender to the next. */
class Debt {
  readonly #burst: number;
  #paidAt = -Infinity;

  /** @param limit - so much of a rate may be spent at once, in ms */
  constructor(limit: number) {
    this.#burst = limit;
  }

  /** Whether as much can be spent as by somebody new. */
  isPaid(now: number): boolean {
    return this.#paidAt <= now - this.#burst;
  }

  /** ms until there is something to spend, 0 for now. */
  waitFor(now: number): number {
    return Math.max(0, this.#paidAt - now);
  }

  spend(amount: number, perSecond: number, now: number): void {
    if (amount === 0) return;
    this.#paidAt = Math.max(this.#paidAt, now - this.#burst) + (amount / perSecond) * 1000;
  }
}

/** One user. */
class Account {
  readonly usage: Charges = { connections: 0, subscriptions: 0, queuedBytes: 0 };
  readonly uid: number;
  readonly requests: Debt = new Debt(burst);
  readonly work: Debt = new Debt(workBurst);
  readonly turns: Turns;

  constructor(uid: number, clock: () => number) {
    this.uid = uid;
    this.turns = new Turns(() => {
      const now = clock();
      return Math.max(this.requests.waitFor(now), this.work.waitFor(now));
    });
  }

  get isEmpty(): boolean {
    const { connections, subscriptions, queuedBytes } = this.usage;
    return connections === 0 && subscriptions === 0 && queuedBytes === 0;
  }

  isForgettable(now: number): boolean {
    return this.isEmpty && this.requests.isPaid(now) && this.work.isPaid(now);
  }
}

/** The accounts of all users. */
export class Quotas {
  readonly #clock: () => number;
  readonly #accounts = new Map<number, Account>();
  #many = fewAccounts;

  /** @param clock - ms that never go back */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
  }

  /**
   * Charges a user with a connection.
   *
   * @returns undefined where that would be one too many: {@link exceeded} says so
   */
  open(uid: number, limits: Limits): Share | undefined {
    const account = this.#accounts.get(uid) ?? new Account(uid, this.#clock);
    if (account.usage.connections >= limits.connections) return undefined;
    if (account.isEmpty) this.#remember(account);
    return new Share(account, limits, this.#clock, () => {
      if (account.isForgettable(this.#clock())) this.#accounts.delete(uid);
    });
  }

  /** Whether nothing is charged to anybody. */
  get isEmpty(): boolean {
    return [...this.#accounts.values()].every(({ isEmpty }) => isEmpty);
  }

  /** Users who are charged with anything, or in debt. */
  get size(): number {
    return this.#accounts.size;
  }

  /** What is charged to each user who is charged with anything. */
  *usages(): Generator<Usage & { readonly uid: number }> {
    for (const { uid, usage, isEmpty } of this.#accounts.values()) {
      if (!isEmpty) yield { uid, ...usage };
    }
  }

  /** Debts are paid by time alone, so now and then somebody has to look which accounts can be forgotten. */
  #remember(account: Account): void {
    this.#accounts.set(account.uid, account);
    if (this.#accounts.size <= this.#many) return;
    const now = this.#clock();
    for (const [uid, other] of this.#accounts) {
      if (other !== account && other.isForgettable(now)) this.#accounts.delete(uid);
    }
    this.#many = Math.max(fewAccounts, 2 * this.#accounts.size);
  }
}

/** One connection, and what it has of its user's account. */
export class Share {
  /** Those of the user's grant; they may be replaced, and hold for what is charged from then on. */
  limits: Limits;
  readonly #account: Account;
  readonly #clock: () => number;
  readonly #onClose: () => void;
  readonly #usage: Charges = { connections: 0, subscriptions: 0, queuedBytes: 0 };
  /** What this connection has spent, of an even part of what its user may. */
  readonly #work = new Debt(workBurst);

  /** See {@link Quotas.open}. */
  constructor(account: Account, limits: Limits, clock: () => number, onClose: () => void) {
    this.#account = account;
    this.limits = limits;
    this.#clock = clock;
    this.#onClose = onClose;
    this.#change('connections', 1);
  }

  /** What this connection is charged with. */
  get usage(): Usage {
    return this.#usage;
  }

  /**
   * Charges a subscription.
   *
   * @returns discharges it, however often it is called
   * @throws ProcbusError `quota`
   */
  subscribe(): () => void {
    const { limits } = this;
    if (this.#account.usage.subscriptions >= limits.subscriptions) {
      throw exceeded(this.#account.uid, 'subscriptions', limits);
    }
    this.#change('subscriptions', 1);
    let isCharged = true;
    return () => {
      if (isCharged) this.#change('subscriptions', -1);
      isCharged = false;
    };
  }

  /**
   * Whether so many more bytes are too many to queue for this connection.
   *
   * One connection gets as much as it leaves free for the others, so that a few who do not read cannot take
   * everything from one who does.
   */
  isQueueFull(more: number): boolean {
    const free = this.limits.queuedBytes - this.#account.usage.queuedBytes;
    return this.#usage.queuedBytes + more > free;
  }

  /** Charges bytes that were queued, and with a negative number discharges what was read. */
  queue(bytes: number): void {
    this.#change('queuedBytes', bytes);
  }

  /** Whether the next request may be handled now; else there is {@link wait}. */
  get isReady(): boolean {
    return this.#account.turns.isOpen;
  }

  /**
   * Waits for a turn in the line of all connections of the user.
   *
   * @param onTurn - called once; one request may be handled then, whatever `isReady` says
   * @param isPiece - whether that is a piece of what takes many turns
   * @returns gives the turn up; to be called by a connection that ends
   */
  wait(onTurn: () => void, isPiece?: boolean): () => void {
    return this.#account.turns.join(onTurn, isPiece);
  }

  /** Counts requests that were handled, and the work that they were. */
  spend(requests: number, work: number): void {
    this.#account.requests.spend(requests, this.limits.requestsPerSecond, this.#clock());
    this.pay(work);
  }

  /**
   * Counts work.
   *
   * @returns false where the user has done more than time has paid for, and this connection more than its even part
   */
  pay(work: number): boolean {
    const { workPerSecond } = this.limits;
    const now = this.#clock();
    this.#account.work.spend(work, workPerSecond, now);
    this.#work.spend(work, workPerSecond / this.#account.usage.connections, now);
    return this.#account.work.waitFor(now) === 0 || this.#work.waitFor(now) === 0;
  }

  /** Discharges the connection, whose subscriptions and queue have to be discharged already. */
  close(): void {
    const { connections, subscriptions, queuedBytes } = this.#usage;
    if (connections === 0) return;
    if (subscriptions !== 0 || queuedBytes !== 0) {
      throw new Error(
        `a connection ends with ${subscriptions} subscriptions and ${queuedBytes} queued bytes`,
      );
    }
    this.#change('connections', -1);
    this.#onClose();
  }

  #change(what: keyof Usage, by: number): void {
    const own = this.#usage[what] + by;
    if (own < 0) throw new Error(`${-by} ${what} are discharged of ${this.#usage[what]}`);
    if (what !== 'connections' && this.#usage.connections === 0) {
      throw new Error(`${what} are charged to a connection that has ended`);
    }
    this.#usage[what] = own;
    this.#account.usage[what] += by;
  }
}

/** The error `quota`, for a user who has as many as the limits allow. */
export function exceeded(uid: number, what: 'connections' | 'subscriptions', limits: Limits): ProcbusError {
  return new ProcbusError(
    'quota',
    `the user ${uid} has ${limits[what]} ${what} already, which is the limit`,
    {
      remedy: `End some of them, or have an administrator raise the limit \`${what}\` in procbusd.toml.`,
    },
  );
}
