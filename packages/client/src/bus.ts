/*
 * What a user of the library has: requests and watches, whatever connection they go over.
 */
import {
  clientMessage,
  parseSnapshotPosition,
  parseStreamPosition,
  ProcbusError,
  type FilterRequest,
  type HelperHello,
  type StreamPosition,
} from '@procbus/protocol';
import { backoff, pause } from './backoff.ts';
import type { AskOptions, Connection } from './connection.ts';
import { Link, type LinkOptions } from './link.ts';
import { readSnapshot, type ListOptions, type Snapshot } from './snapshot.ts';
import {
  SnapshotWatch,
  type ListAndWatchOptions,
  type Listed,
  type SnapshotAndEvents,
} from './snapshot-watch.ts';
import type { HelperStats } from './stats.ts';
import { Subscription } from './subscription.ts';
import type { Watch, WatchOptions } from './watch.ts';
import { wireFilter } from './wire-filter.ts';

/** How a bus lasts, and what ends with it. */
export interface BusOptions extends LinkOptions {
  /** Awaited by {@link Bus.close}. */
  readonly afterClose?: (() => Promise<void>) | undefined;
}

/**
 * A helper, as its users see it. Make one with {@link connect} or {@link startEmbedded}.
 *
 * A bus of {@link connect} outlives its connections: when one ends it connects again, and its watches go on
 * from where they were. Requests that are on their way then reject with `disconnected`; those that are made
 * meanwhile wait for the next connection.
 */
export class Bus {
  /**
   * Resolves when the bus has ended: it was closed, or its connection ended and there will be no other one.
   */
  readonly closed: Promise<void>;

  readonly #link: Link;
  readonly #subscriptions = new Set<Subscription>();
  readonly #afterClose: (() => Promise<void>) | undefined;

  /** @internal */
  constructor(first: Connection, options: BusOptions = {}) {
    this.#afterClose = options.afterClose;
    const user = {
      connected: (connection: Connection): void => {
        for (const subscription of this.#subscriptions) subscription.attach(connection);
      },
      disconnected: (reason: ProcbusError): void => {
        for (const subscription of this.#subscriptions) subscription.detach(reason);
      },
      ended: (error: ProcbusError): void => {
        for (const subscription of this.#subscriptions) subscription.fail(error);
      },
    };
    this.#link = new Link(first, user, options);
    this.closed = this.#link.closed;
  }

  /** What the helper said of itself: the one that we are connected to, or were last. */
  get hello(): HelperHello {
    return this.#link.hello;
  }

  /**
   * Subscribes to events. The subscription begins at once; {@link Watch.ready} tells when it holds.
   *
   * @example
   * ```ts
   * for await (const event of bus.watch({ events: ['exit'], comm: ['make*'], exit: ['failed'] })) {
   *   if (event.type === 'exit') console.log(event.process.comm, event.signal ?? event.exitCode);
   * }
   * ```
   *
   * @throws ProcbusError `bad-filter` or `usage`, naming what is wrong
   */
  watch(options: WatchOptions = {}): Watch {
    return this.#subscribe(options).watch;
  }

  /**
   * Lists the processes that a filter lets through; its `events` and `threads` mean nothing here.
   *
   * @example
   * ```ts
   * const { processes } = await bus.list({ users: ['anna'], minRuntime: 3600 });
   * for (const { pid, comm, runtime } of processes) console.log(pid, comm, runtime);
   * ```
   *
   * @throws ProcbusError `bad-filter`, naming what is wrong
   */
  async list(filter: FilterRequest = {}, options: ListOptions = {}): Promise<Snapshot> {
    return (await this.#list(wireFilter(filter), options)).snapshot;
  }

  /**
   * Lists processes and watches them from then on: what the snapshot does not show yet, the events
   * tell, and nothing is in both. Where events are missing, because they were read too slowly or the helper
   * was away for too long, the event behind the `lost` is another snapshot to begin with.
   *
   * @example
   * ```ts
   * const { processes, events } = await bus.listAndWatch({ events: ['fork', 'exit'], comm: ['nginx'] });
   * let living = new Set(processes.map(({ id }) => id));
   * for await (const event of events) {
   *   if (event.type === 'fork') living.add(event.process.id);
   *   else if (event.type === 'exit') living.delete(event.process.id);
   *   else if (event.type === 'snapshot') living = new Set(event.processes.map(({ id }) => id));
   * }
   * ```
   *
   * @throws ProcbusError `bad-filter`, naming what is wrong
   */
  async listAndWatch(options: ListAndWatchOptions = {}): Promise<SnapshotAndEvents> {
    const { ended, signal, bufferSize, maxDelay, onLag, onResume, ...filter } = options;
    signal?.throwIfAborted();
    // Subscribed first: what happens while the snapshot is made waits in the watch.
    const subscription = this.#subscribe({ ...filter, signal, bufferSize, maxDelay, onLag, onResume });
    const { watch } = subscription;
    try {
      const [{ place, snapshot }] = await Promise.all([
        this.#list(subscription.filter, { ended, signal }),
        watch.ready,
      ]);
      watch.skipTo(place);
      const listAgain = async (giveUp: AbortSignal): Promise<Listed> =>
        this.#listAgain(() => subscription.filter, { ended, signal: giveUp });
      return { ...snapshot, events: new SnapshotWatch(watch, listAgain, signal) };
    } catch (error) {
      await watch.return();
      throw error;
    }
  }

  /** Asks for a sign of life; resolves with where the stream stands. */
  async ping(options: Pick<ListOptions, 'signal'> = {}): Promise<StreamPosition> {
    return parseStreamPosition((await this.#ask(clientMessage.ping, options)).answer);
  }

  /** Asks the helper for its figures. */
  async stats(options: Pick<ListOptions, 'signal'> = {}): Promise<HelperStats> {
    return (await this.#ask(clientMessage.stats, options)).answer as HelperStats;
  }

  /** Ends the connection, or the attempts to make one, and all watches. */
  async close(): Promise<void> {
    await this.#link.close();
    await this.#afterClose?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #subscribe(options: WatchOptions): Subscription {
    const subscription = new Subscription(options, () => this.#subscriptions.delete(subscription));
    this.#subscriptions.add(subscription);
    const { connection, end } = this.#link;
    if (connection !== undefined) subscription.attach(connection);
    else if (end !== undefined) subscription.fail(end);
    return subscription;
  }

  async #list(filter: FilterRequest, { ended = false, signal }: ListOptions): Promise<Listed> {
    const parts: (readonly unknown[])[] = [];
    const { answer, connection } = await this.#ask(
      (number) => clientMessage.snapshot(number, filter, ended),
      {
        signal,
        onPart: (part) => void parts.push(part),
      },
    );
    const position = parseSnapshotPosition(answer);
    const place = { epoch: connection.hello.epoch, seq: position.seq };
    return { place, snapshot: readSnapshot(place, position, parts) };
  }

  /** Lists, over as many connections as it takes. */
  async #listAgain(filter: () => FilterRequest, options: ListOptions): Promise<Listed> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#list(filter(), options);
      } catch (error) {
        const code = error instanceof ProcbusError ? error.code : undefined;
        const mayHelp = code === 'disconnected' || code === 'quota';
        if (!mayHelp || !this.#link.survives(error)) throw error;
        if (code === 'quota') await pause(backoff(attempt), options.signal);
      }
    }
  }

  async #ask(
    message: (number: number) => unknown[],
    options: AskOptions,
  ): Promise<{ answer: unknown; connection: Connection }> {
    const connection = this.#link.connection ?? (await this.#link.connected(options.signal));
    try {
      return { answer: await connection.ask(message, options), connection };
    } catch (error) {
      if (error !== connection.reason || !this.#link.survives(error)) throw error;
      const { message: why, code } = error as ProcbusError;
      throw code === 'disconnected' ? error : new ProcbusError('disconnected', why, { cause: error });
    }
  }
}
