/*
 * A connection to a helper: requests and their answers, and the watches that its events go to.
 */
import type { Socket } from 'node:net';
import {
  clientMessage,
  frameHeaderBytes,
  maxClientPayload,
  packFrame,
  parseFilter,
  parseSnapshotPosition,
  parseStreamPosition,
  ProcbusError,
  type FilterRequest,
  type HelperHello,
  type HelperMessage,
  type StreamPosition,
} from '@procbus/protocol';
import { errorOf, greet } from './hello.ts';
import { Requests, type RequestOptions } from './requests.ts';
import {
  readSnapshot,
  type ListAndWatchOptions,
  type ListOptions,
  type Snapshot,
  type SnapshotAndEvents,
} from './snapshot.ts';
import type { HelperStats } from './stats.ts';
import { Watch, type WatchOptions } from './watch.ts';

/** A connection to a helper. Make one with {@link connect} or {@link startEmbedded}. */
export class Bus {
  /** What the helper said of itself. */
  readonly hello: HelperHello;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;

  readonly #socket: Socket;
  readonly #requests = new Requests();
  readonly #watches = new Map<number, Watch>();
  readonly #afterClose: () => Promise<void>;
  #closing = false;
  /** Why the connection ended, where somebody said so. */
  #reason: ProcbusError | undefined;

  private constructor(socket: Socket, hello: HelperHello, afterClose: () => Promise<void>) {
    this.#socket = socket;
    this.hello = hello;
    this.#afterClose = afterClose;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#disconnected();
        resolve();
      });
    });
  }

  /**
   * Greets the helper at the other end of a connected socket.
   *
   * @param afterClose - awaited by {@link close}, for what has to end with the connection
   * @throws ProcbusError `not-a-helper`, `version-mismatch`, or what the helper refuses us with
   * @internal
   */
  static async open(
    socket: Socket,
    signal?: AbortSignal,
    afterClose = async (): Promise<void> => {},
  ): Promise<Bus> {
    const { bus } = await greet(socket, signal, (hello) => {
      const begun = new Bus(socket, hello, afterClose);
      return {
        bus: begun,
        take: (message) => begun.#take(message),
        abandon: (error) => begun.#abandon(error),
      };
    });
    return bus;
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
   * @throws ProcbusError `bad-filter`, naming what is wrong
   */
  watch({ signal, bufferSize, ...request }: WatchOptions = {}): Watch {
    const filter = wireFilter(request);
    const { id, answer } = this.#request((number) => clientMessage.subscribe(number, filter));
    const unsubscribe = (): void => {
      this.#watches.delete(id);
      if (!this.#socket.writable) return;
      // Its answer holds nothing that anybody waits for.
      this.#request((number) => clientMessage.unsubscribe(number, id)).answer.catch(() => undefined);
    };
    const watch = new Watch({ unsubscribe }, answer.then(parseStreamPosition), { signal, bufferSize });
    this.#watches.set(id, watch);
    answer.catch(() => this.#watches.delete(id));
    return watch;
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
    return (await this.#list(filter, options)).snapshot;
  }

  /**
   * Lists processes and watches them from then on: what the snapshot does not show yet, the events
   * tell, and nothing is in both.
   *
   * @example
   * ```ts
   * const { processes, events } = await bus.listAndWatch({ events: ['fork', 'exit'], comm: ['nginx'] });
   * const living = new Set(processes.map(({ pid }) => pid));
   * for await (const event of events) {
   *   if (event.type === 'fork') living.add(event.pid);
   *   else if (event.type === 'exit') living.delete(event.pid);
   *   else console.warn(`${event.type}: list again`); // some events were lost
   * }
   * ```
   *
   * @throws ProcbusError `bad-filter`, naming what is wrong
   */
  async listAndWatch(options: ListAndWatchOptions = {}): Promise<SnapshotAndEvents> {
    const { ended, signal, bufferSize, ...filter } = options;
    signal?.throwIfAborted();
    // Subscribed first: what happens while the snapshot is made waits in the watch.
    const events = this.watch({ ...filter, signal, bufferSize });
    try {
      const [{ seq, snapshot }] = await Promise.all([this.#list(filter, { ended, signal }), events.ready]);
      events.skipTo(seq);
      return { ...snapshot, events };
    } catch (error) {
      await events.return();
      throw error;
    }
  }

  /** Asks for a sign of life; resolves with where the stream stands. */
  async ping(): Promise<StreamPosition> {
    return parseStreamPosition(await this.#request(clientMessage.ping).answer);
  }

  /** Asks the helper for its figures. */
  async stats(): Promise<HelperStats> {
    return (await this.#request(clientMessage.stats).answer) as HelperStats;
  }

  /** Ends the connection and all its watches. */
  async close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      if (this.#socket.writable) this.#socket.end(packFrame(clientMessage.goodbye()));
      // What is still on its way to us concerns nobody any more.
      this.#socket.destroySoon();
    }
    await this.closed;
    await this.#afterClose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #list(
    request: FilterRequest,
    { ended = false, signal }: ListOptions,
  ): Promise<{ seq: number; snapshot: Snapshot }> {
    signal?.throwIfAborted();
    const filter = wireFilter(request);
    const parts: (readonly unknown[])[] = [];
    const { answer } = this.#request((number) => clientMessage.snapshot(number, filter, ended), {
      signal,
      onPart: (part) => void parts.push(part),
    });
    const position = parseSnapshotPosition(await answer);
    return { seq: position.seq, snapshot: readSnapshot(this.hello.epoch, position, parts) };
  }

  #request(
    message: (number: number) => unknown[],
    options?: RequestOptions,
  ): { id: number; answer: Promise<unknown> } {
    const { id, answer } = this.#requests.open(options);
    const frame = packFrame(message(id));
    if (!this.#socket.writable) {
      this.#requests.reject(id, this.#disconnection());
    } else if (frame.length - frameHeaderBytes > maxClientPayload) {
      // The helper would close the connection, which others may use too.
      const error = new ProcbusError('frame-too-large', `a filter of ${frame.length} bytes`, {
        remedy: 'Use several subscriptions, or shorter lists.',
      });
      this.#requests.reject(id, error);
    } else {
      this.#socket.write(frame);
    }
    return { id, answer };
  }

  #take(message: HelperMessage): void {
    switch (message.type) {
      case 'events':
        this.#watches.get(message.subscription)?.deliver(message.events, message.clockOffset);
        break;
      case 'lost':
        this.#watches.get(message.subscription)?.lose(message.lost);
        break;
      case 'processes':
        this.#requests.part(message.request, message.processes);
        break;
      case 'result':
        this.#requests.resolve(message.request, message.value);
        break;
      case 'error':
        if (message.request === null) this.#reason = errorOf(message.error);
        else this.#requests.reject(message.request, errorOf(message.error));
        break;
      case 'goodbye':
        this.#reason = errorOf(message.error);
        break;
      case 'hello':
      case 'unknown':
        break; // A later version may say more than we know of.
    }
  }

  #abandon(error: unknown): void {
    this.#reason =
      error instanceof ProcbusError ? error : new ProcbusError('internal', String(error), { cause: error });
    this.#socket.destroy();
  }

  #disconnected(): void {
    const error = this.#disconnection();
    this.#requests.rejectAll(error);
    for (const watch of this.#watches.values()) watch.fail(error);
    this.#watches.clear();
  }

  #disconnection(): ProcbusError {
    if (this.#reason !== undefined) return this.#reason;
    if (this.#closing) return new ProcbusError('disconnected', 'the connection has been closed');
    return new ProcbusError('disconnected', 'the helper has gone', {
      remedy: 'Connect again; its log says why: journalctl -u procbus',
    });
  }
}

/** A filter as it travels: checked, and without the fields that are undefined, which msgpack has not. */
function wireFilter({ not, ...request }: FilterRequest): object {
  const filter = defined({ ...request, not: not === undefined ? undefined : defined(not) });
  parseFilter(filter);
  return filter;
}

function defined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
