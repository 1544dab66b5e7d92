/*
 * The subscription of one watch, over all connections of its bus.
 *
 * Idea: on each connection it subscribes from the place that has arrived by then. Where the helper cannot
 * go on from there, it begins at the nearest place that there is, and says what is missing.
 */
import {
  lagPolicies,
  longestMaxDelay,
  parseCursor,
  ProcbusError,
  type Cursor,
  type EventReader,
  type FilterRequest,
  type Grant,
  type Loss,
  type SubscribeOptions,
  type SubscriptionStart,
} from '@procbus/protocol';
import { backoff } from './backoff.ts';
import type { Connection, Subscriber } from './connection.ts';
import { Watch, type WatchOptions } from './watch.ts';
import { boundFilter, wireFilter } from './wire-filter.ts';

/** How often the oldest place is asked for that there is, before it is given up: it may age out meanwhile. */
const attemptsToCatchUp = 2;

export class Subscription implements Subscriber {
  readonly watch: Watch;
  readonly #onLeave: () => void;
  readonly #since: Cursor | Date | undefined;
  readonly #manner: Pick<SubscribeOptions, 'maxDelay' | 'onLag'>;
  readonly #onGone: WatchOptions['onGone'];
  readonly #onResume: WatchOptions['onResume'];
  #filter: FilterRequest;
  #connection: Connection | undefined;
  /** Its number on the connection; undefined where it is not subscribed. */
  #id: number | undefined;
  #begun = false;
  /** Whether it is in force on the connection. */
  #holds = false;
  /** How often the place that was asked for has been gone, on this connection. */
  #gone = 0;
  /** How many events there were between the place that was gone and the one that was asked for then, if that is known. */
  #missing: number | undefined;
  /** How often we were refused and told to come back, on this connection. */
  #refusals = 0;
  #retry: NodeJS.Timeout | undefined;

  /**
   * @param onLeave - called when the watch ends on the reader's side
   * @throws ProcbusError `bad-filter` or `usage`, naming what is wrong
   */
  constructor(options: WatchOptions, onLeave: () => void) {
    const { signal, bufferSize, since, onGone = 'throw', maxDelay, onLag, onResume, ...request } = options;
    this.#filter = wireFilter(request);
    this.#since = parseSince(since);
    this.#manner = parseManner({ maxDelay, onLag });
    if (onGone !== 'throw' && onGone !== 'lost') throw usage('onGone', 'neither throw nor lost');
    this.#onGone = onGone;
    this.#onResume = onResume;
    this.#onLeave = onLeave;
    this.watch = new Watch(
      { unsubscribe: () => this.#leave() },
      { signal, bufferSize, onLag, since: this.#since instanceof Date ? undefined : this.#since },
    );
  }

  /** The filter, with the ids of processes in the place of pids as soon as they are known. */
  get filter(): FilterRequest {
    return this.#filter;
  }

  /** Subscribes on a connection. */
  attach(connection: Connection): void {
    this.#connection = connection;
    this.#gone = 0;
    this.#refusals = 0;
    this.#subscribe(this.#place(connection));
  }

  /** The connection has ended, and there will be another one. */
  detach(reason: ProcbusError): void {
    this.#release();
    // The helper does not say which of them was meant: all that asked for this have their wish.
    if (reason.code === 'lagged' && this.#manner.onLag === 'disconnect') this.fail(reason);
  }

  /** Ends the watch with an error, once all that has arrived is read. */
  fail(error: unknown): void {
    this.#release();
    this.#onLeave();
    this.watch.fail(error);
  }

  started({ seq, clockOffset, roots }: SubscriptionStart): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { epoch, grant } = connection.hello;
    const last = this.watch.received;
    const missing =
      last === undefined
        ? undefined
        : missingBetween(
            last,
            { epoch, seq },
            { wasGone: this.#gone > 0, count: this.#missing },
            grant,
            clockOffset,
          );
    this.#holds = true;
    if (!this.#begun) this.#filter = boundFilter(this.#filter, roots);
    const lost = this.watch.begin({ epoch, seq, clockOffset }, missing);
    const onResume = this.#onResume;
    // Not from within: it may end this watch, or the bus.
    if (this.#begun && onResume !== undefined) queueMicrotask(() => onResume(lost));
    this.#begun = true;
  }

  refused(error: unknown): void {
    this.#id = undefined;
    const code = error instanceof ProcbusError ? error.code : undefined;
    if (code === 'gone' && this.#mayMiss && this.#gone <= attemptsToCatchUp) {
      const oldest = ++this.#gone <= attemptsToCatchUp ? oldestOf(error as ProcbusError) : undefined;
      // Behind the second such answer, it would only be a part of them.
      this.#missing = this.#gone === 1 ? (error as ProcbusError).missing : undefined;
      this.#subscribe(oldest === undefined ? {} : { since: oldest });
    } else if (code === 'quota' && this.#begun) {
      // What we had before we may have again, when others have made room.
      this.#retry = setTimeout(() => this.#again(), backoff(++this.#refusals));
    } else {
      this.fail(error);
    }
  }

  deliver(seq: number, events: EventReader): void {
    this.#expectHeld();
    this.watch.deliver(seq, events);
  }

  lose(loss: Loss): void {
    this.#expectHeld();
    this.watch.lose(loss);
  }

  #expectHeld(): void {
    if (!this.#holds)
      throw new ProcbusError('bad-message', 'events before the subscription that they are of');
  }

  /** Whether it may begin later than it should, and say so. */
  get #mayMiss(): boolean {
    return this.#begun || this.#onGone === 'lost';
  }

  #subscribe(begin: Pick<SubscribeOptions, 'since' | 'sinceTime'>): void {
    this.#id = this.#connection?.subscribe(this.#filter, { ...begin, ...this.#manner }, this);
  }

  #again(): void {
    this.#gone = 0;
    if (this.#connection !== undefined) this.#subscribe(this.#place(this.#connection));
  }

  /** Where to go on, or to begin. */
  #place({ clockOffset }: Connection): Pick<SubscribeOptions, 'since' | 'sinceTime'> {
    const since = this.watch.received;
    if (since !== undefined) return { since };
    if (!(this.#since instanceof Date)) return {};
    return { sinceTime: BigInt(this.#since.getTime()) * 1_000_000n - clockOffset };
  }

  #leave(): void {
    if (this.#id !== undefined) this.#connection?.unsubscribe(this.#id);
    this.#release();
    this.#onLeave();
  }

  #release(): void {
    clearTimeout(this.#retry);
    this.#connection = undefined;
    this.#id = undefined;
    this.#holds = false;
  }
}

/** What is missing between the place that had arrived and the one that another subscription begins behind. */
function missingBetween(
  last: Cursor,
  next: Cursor,
  { wasGone, count }: { readonly wasGone: boolean; readonly count: number | undefined },
  { scope }: Grant,
  clockOffset: bigint,
): Loss | undefined {
  const kernelTime = process.hrtime.bigint(); // CLOCK_MONOTONIC
  const hole = { where: 'journal', to: next.seq, kernelTime, clockOffset } as const;
  const isSameRun = last.epoch === next.epoch;
  if (isSameRun && next.seq > last.seq) {
    // How many there were of all users is not for one who sees only what is his.
    return { ...hole, count: scope === 'all' ? next.seq - last.seq : 0, from: last.seq + 1 };
  }
  if (isSameRun) return wasGone ? { ...hole, count: 0, from: 0 } : undefined;
  // Nothing is missing where the next run has gone on exactly where the last one ended.
  return count === 0 ? undefined : { ...hole, count: count ?? 0, from: 0 };
}

function oldestOf({ oldest }: ProcbusError): Cursor | undefined {
  if (oldest === undefined) return undefined;
  try {
    return parseCursor(oldest);
  } catch {
    return undefined; // A cursor of a later version; then there is none for us.
  }
}

function parseSince(since: WatchOptions['since']): Cursor | Date | undefined {
  if (since === undefined) return undefined;
  if (since instanceof Date) {
    if (Number.isNaN(since.getTime())) throw usage('since', 'an invalid date');
    return since;
  }
  try {
    return parseCursor(since);
  } catch (error) {
    const { message, remedy } = error as ProcbusError;
    throw new ProcbusError('usage', `since: ${message}`, { remedy, cause: error });
  }
}

function parseManner({ maxDelay, onLag }: WatchOptions): Pick<SubscribeOptions, 'maxDelay' | 'onLag'> {
  if (maxDelay !== undefined && !(maxDelay >= 0 && maxDelay <= longestMaxDelay)) {
    throw usage('maxDelay', `${maxDelay} is not a number of ms up to ${longestMaxDelay}`);
  }
  if (onLag !== undefined && !lagPolicies.includes(onLag))
    throw usage('onLag', 'neither drop nor disconnect');
  return { maxDelay, onLag };
}

function usage(option: string, what: string): ProcbusError {
  return new ProcbusError('usage', `${option}: ${what}`);
}
