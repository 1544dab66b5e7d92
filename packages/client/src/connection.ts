/*
 * One connection to a helper, from the hellos to its end: requests with their answers, and the
 * subscriptions that its events go to.
 *
 * Invariant: what the helper says reaches its receiver in the order in which it was said, and before
 * whatever follows it is looked at.
 */
import type { Socket } from 'node:net';
import {
  clientMessage,
  frameHeaderBytes,
  maxClientPayload,
  packFrame,
  parseSubscriptionStart,
  ProcbusError,
  type EventReader,
  type HelperHello,
  type HelperMessage,
  type Loss,
  type SubscribeOptions,
  type SubscriptionStart,
} from '@procbus/protocol';
import { deferred } from './deferred.ts';
import { errorOf, greet } from './hello.ts';
import { Requests, type Asker } from './requests.ts';
import type { Wire } from './wire.ts';

/** Who is told what one subscription brings. The end of the connection is told to nobody. */
export interface Subscriber {
  /** The subscription holds; all below comes later. */
  started(start: SubscriptionStart): void;
  /** There is no subscription. */
  refused(error: unknown): void;
  /** Takes events, or none; the stream has been looked through up to `seq`. */
  deliver(seq: number, events: EventReader): void;
  lose(loss: Loss): void;
}

/** How a request is made. */
export interface AskOptions {
  /** Takes what comes before the answer, where it comes in parts. */
  readonly onPart?: ((items: readonly unknown[]) => void) | undefined;
  /** Gives up waiting: the answer rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

type MessageOf = (number: number) => unknown[];

/** A connection whose hellos have been said. */
export class Connection {
  /** What the helper said of itself. */
  readonly hello: HelperHello;
  /** Resolves with the reason when the connection has ended and all that had arrived is told. */
  readonly ended: Promise<ProcbusError>;

  readonly #socket: Socket;
  readonly #requests = new Requests();
  readonly #subscribers = new Map<number, Subscriber>();
  #clockOffset: bigint;
  #closing = false;
  /** Whether the helper has said that it will hear nothing more. */
  #dismissed = false;
  /** Why the connection is to end, where somebody said so. */
  #told: ProcbusError | undefined;
  #reason: ProcbusError | undefined;

  private constructor(socket: Socket, hello: HelperHello) {
    this.#socket = socket;
    this.hello = hello;
    this.#clockOffset = hello.clockOffset;
    this.ended = new Promise((resolve) => {
      socket.once('close', () => {
        const reason = this.#told ?? this.#disconnection();
        this.#reason = reason;
        this.#subscribers.clear();
        this.#requests.rejectAll(reason);
        resolve(reason);
      });
    });
  }

  /**
   * Greets the helper at the other end of a connected wire.
   *
   * @throws ProcbusError as {@link greet}
   */
  static async open(wire: Wire, signal?: AbortSignal): Promise<Connection> {
    const { connection } = await greet(wire, signal, (hello) => {
      const begun = new Connection(wire.socket, hello);
      return {
        connection: begun,
        take: (message) => begun.#take(message),
        abandon: (error) => begun.#abandon(error),
      };
    });
    return connection;
  }

  /** Whether anything can still be asked. */
  get isOpen(): boolean {
    return this.#socket.writable && !this.#dismissed;
  }

  /** Why it has ended; undefined until then. */
  get reason(): ProcbusError | undefined {
    return this.#reason;
  }

  /** What to add to a kernel time for the time since 1970, in ns, as the helper last told it. */
  get clockOffset(): bigint {
    return this.#clockOffset;
  }

  /**
   * Asks the helper something.
   *
   * @param message - lays the message out, for the number that it gets
   * @throws ProcbusError what the helper answers, or the reason that the connection ended for
   */
  async ask(message: MessageOf, { onPart, signal }: AskOptions = {}): Promise<unknown> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = deferred<unknown>();
    const id = this.#send(message, { resolve, reject, part: (items) => onPart?.(items) });
    const onAbort = (): void => this.#requests.reject(id, signal?.reason);
    signal?.addEventListener('abort', onAbort);
    try {
      return await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Subscribes; returns the number of the subscription. */
  subscribe(filter: object, options: SubscribeOptions, subscriber: Subscriber): number {
    const id = this.#send((number) => clientMessage.subscribe(number, filter, options), {
      resolve: (value) => {
        if (this.#subscribers.get(id) !== subscriber) return;
        try {
          subscriber.started(parseSubscriptionStart(value));
        } catch (error) {
          this.#refuse(id, error);
        }
      },
      reject: (error) => this.#refuse(id, error),
    });
    this.#subscribers.set(id, subscriber);
    return id;
  }

  /** Ends a subscription, or gives up one that is asked for; its subscriber is told nothing more. */
  unsubscribe(id: number): void {
    // Its answer holds nothing that anybody waits for.
    const nobody = { resolve: () => undefined, reject: () => undefined };
    if (this.#subscribers.delete(id)) this.#send((number) => clientMessage.unsubscribe(number, id), nobody);
  }

  /** Ends the connection. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#socket.writable) this.#socket.end(packFrame(clientMessage.goodbye()));
    // What is still on its way to us concerns nobody any more.
    this.#socket.destroySoon();
  }

  /** Sends a request. Whatever comes of it is told later, also that it cannot be sent. */
  #send(message: MessageOf, asker: Asker): number {
    const id = this.#requests.open(asker);
    // One that is asked at the very end is rejected with all others when the reason is known.
    if (!this.isOpen) {
      void this.ended.then((reason) => this.#requests.reject(id, reason));
      return id;
    }
    const frame = packFrame(message(id));
    if (frame.length - frameHeaderBytes <= maxClientPayload) {
      this.#socket.write(frame);
      return id;
    }
    // The helper would close the connection, which others may use too.
    const error = new ProcbusError('frame-too-large', `a filter of ${frame.length} bytes`, {
      remedy: 'Use several subscriptions, or shorter lists.',
    });
    queueMicrotask(() => this.#requests.reject(id, error));
    return id;
  }

  #refuse(id: number, error: unknown): void {
    const subscriber = this.#subscribers.get(id);
    this.#subscribers.delete(id);
    subscriber?.refused(error);
  }

  #take(message: HelperMessage): void {
    switch (message.type) {
      case 'events':
        this.#clockOffset = message.clockOffset;
        this.#subscribers.get(message.subscription)?.deliver(message.seq, message.events);
        break;
      case 'lost':
        this.#subscribers.get(message.subscription)?.lose(message.lost);
        break;
      case 'processes':
        this.#requests.part(message.request, message.processes);
        break;
      case 'result':
        this.#requests.resolve(message.request, message.value);
        break;
      case 'error':
        if (message.request === null) this.#told = errorOf(message.error);
        else this.#requests.reject(message.request, errorOf(message.error));
        break;
      case 'goodbye':
        this.#dismissed = true;
        this.#told = errorOf(message.error);
        break;
      case 'hello':
      case 'unknown':
        break; // A later version may say more than we know of.
    }
  }

  #abandon(error: unknown): void {
    this.#told =
      error instanceof ProcbusError ? error : new ProcbusError('internal', String(error), { cause: error });
    this.#socket.destroy();
  }

  #disconnection(): ProcbusError {
    if (this.#closing) return closedError();
    return new ProcbusError('disconnected', 'the helper has gone', {
      remedy: 'Connect again; its log says why: journalctl -u procbus',
    });
  }
}

/** What is thrown by whatever the user has closed. */
export function closedError(): ProcbusError {
  return new ProcbusError('disconnected', 'the connection has been closed');
}
