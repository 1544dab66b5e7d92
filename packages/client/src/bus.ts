/*
 * A connection to a helper: requests and their answers, and the watches that its events go to.
 */
import type { Socket } from 'node:net';
import {
  chooseVersion,
  clientMessage,
  FrameDecoder,
  isErrorCode,
  maxHelperPayload,
  packFrame,
  parseFilter,
  parseHelperMessage,
  parseStreamPosition,
  ProcbusError,
  unpack,
  versions,
  type HelperHello,
  type HelperMessage,
  type StreamPosition,
  type WireError,
} from '@procbus/protocol';
import { software } from './version.ts';
import { Watch, type WatchOptions } from './watch.ts';

/** What a helper tells of itself; `docs/protocol.md` says what each field means. */
export interface HelperStats {
  readonly uptime: number;
  readonly clients: number;
  readonly subscriptions: number;
  readonly seq: number;
  readonly received: Readonly<Record<string, number>>;
  readonly lost: { readonly kernel: number; readonly queue: number };
  readonly kernelFilter: { readonly processes: readonly string[]; readonly threads: readonly string[] };
  readonly receiveBuffer: number;
  readonly rss: number;
}

interface Request {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** How long a helper may take to answer our hello, in ms. */
const helloDeadline = 10_000;

/** A connection to a helper. Make one with {@link connect} or {@link startEmbedded}. */
export class Bus {
  /** What the helper said of itself. */
  readonly hello: HelperHello;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;

  readonly #socket: Socket;
  readonly #requests = new Map<number, Request>();
  readonly #watches = new Map<number, Watch>();
  readonly #afterClose: () => Promise<void>;
  #lastRequest = 0;
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
    const decoder = new FrameDecoder(maxHelperPayload);
    return new Promise((resolve, reject) => {
      let bus: Bus | undefined;
      const fail = (error: unknown): void => {
        settled();
        socket.destroy();
        reject(error);
      };
      const timeout = setTimeout(() => fail(notAHelper('it does not answer')), helloDeadline);
      const onAbort = (): void => fail(signal?.reason);
      const onClose = (): void =>
        fail(
          new ProcbusError('disconnected', 'the helper closed the connection before it said hello', {
            remedy: 'Its log says why: journalctl -u procbus',
          }),
        );
      const settled = (): void => {
        clearTimeout(timeout);
        signal?.removeEventListener('abort', onAbort);
        socket.off('close', onClose);
      };
      /** What comes first is a hello, or a refusal in its place. */
      const begin = (message: HelperMessage): void => {
        if (message.type === 'unknown') return;
        try {
          const hello = helloOf(message);
          settled();
          bus = new Bus(socket, hello, afterClose);
          resolve(bus);
        } catch (refusal) {
          fail(refusal);
        }
      };
      signal?.addEventListener('abort', onAbort);
      if (signal?.aborted === true) onAbort();
      socket.on('close', onClose);
      // The close that follows is what counts.
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        try {
          for (const payload of decoder.push(chunk)) {
            if (socket.destroyed) return;
            const message = parseHelperMessage(unpack(payload));
            if (bus === undefined) begin(message);
            else bus.#take(message);
          }
        } catch (error) {
          if (bus === undefined) fail(notAHelper('it speaks another language', error));
          else bus.#abandon(error);
        }
      });
      socket.write(packFrame(clientMessage.hello({ versions, software })));
    });
  }

  /**
   * Subscribes to events. The subscription begins at once; {@link Watch.ready} tells when it holds.
   *
   * @throws ProcbusError `bad-filter`, naming what is wrong
   */
  watch(options: WatchOptions = {}): Watch {
    const { events, threads, include } = options;
    // msgpack has no undefined.
    const filter = Object.fromEntries(
      Object.entries({ events, threads, include }).filter(([, value]) => value !== undefined),
    );
    parseFilter(filter);
    const { id, answer } = this.#request((request) => clientMessage.subscribe(request, filter));
    const unsubscribe = (): void => {
      this.#watches.delete(id);
      if (!this.#socket.writable) return;
      // Its answer holds nothing that anybody waits for.
      this.#request((request) => clientMessage.unsubscribe(request, id)).answer.catch(() => undefined);
    };
    const watch = new Watch({ unsubscribe }, answer.then(parseStreamPosition), options);
    this.#watches.set(id, watch);
    answer.catch(() => this.#watches.delete(id));
    return watch;
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

  #request(message: (request: number) => unknown[]): { id: number; answer: Promise<unknown> } {
    const id = ++this.#lastRequest;
    const answer = new Promise((resolve, reject) => {
      if (!this.#socket.writable) {
        reject(this.#disconnection());
        return;
      }
      this.#requests.set(id, { resolve, reject });
      this.#socket.write(packFrame(message(id)));
    });
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
      case 'result':
        this.#settle(message.request)?.resolve(message.value);
        break;
      case 'error': {
        const request = message.request === null ? undefined : this.#settle(message.request);
        if (request === undefined) this.#reason = errorOf(message.error);
        else request.reject(errorOf(message.error));
        break;
      }
      case 'goodbye':
        this.#reason = errorOf(message.error);
        break;
      case 'hello':
      case 'unknown':
        break; // A later version may say more than we know of.
    }
  }

  #settle(id: number): Request | undefined {
    const request = this.#requests.get(id);
    this.#requests.delete(id);
    return request;
  }

  #abandon(error: unknown): void {
    this.#reason =
      error instanceof ProcbusError ? error : new ProcbusError('internal', String(error), { cause: error });
    this.#socket.destroy();
  }

  #disconnected(): void {
    const error = this.#disconnection();
    for (const request of this.#requests.values()) request.reject(error);
    this.#requests.clear();
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

function helloOf(message: HelperMessage): HelperHello {
  switch (message.type) {
    case 'hello':
      // Whatever it says it can speak, what it has chosen must be ours.
      chooseVersion([message.hello.version, message.hello.version], versions);
      return message.hello;
    case 'error':
    case 'goodbye':
      throw errorOf(message.error);
    default:
      throw notAHelper('its first message is no hello');
  }
}

function errorOf({ code, message, remedy }: WireError): ProcbusError {
  const known = isErrorCode(code) ? code : 'internal';
  return new ProcbusError(
    known,
    known === code ? message : `${code}: ${message}`,
    remedy === undefined ? {} : { remedy },
  );
}

function notAHelper(why: string, cause?: unknown): ProcbusError {
  return new ProcbusError('not-a-helper', `what listens there is no procbusd: ${why}`, {
    remedy: 'Look at what the socket belongs to: ss -xlp',
    cause,
  });
}
