/*
 * A client that knows frames and nothing else: it can say what no proper client would, and leave
 * unread what it likes.
 */
import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { clientMessage, FrameDecoder, maxHelperPayload, packFrame, unpack } from '@procbus/protocol';
import { onTestFinished } from 'vitest';
import { impersonate, type Identity } from './impersonate.ts';

/** A message of the helper, as it came. */
export type Message = readonly [type: string, ...elements: unknown[]];

export class RawClient {
  readonly socket: Socket;
  /** All that came, in order. */
  readonly received: Message[] = [];
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  readonly #untaken: Message[] = [];
  readonly #news = new EventEmitter();

  /** Connects, as somebody else where that is asked for. The connection ends with the test at the latest. */
  static async connect(path: string, as?: Identity): Promise<RawClient> {
    const client = new RawClient(as === undefined ? connect(path) : impersonate(as, () => connect(path)));
    await once(client.socket, 'connect');
    return client;
  }

  /** Connects, and gets the hellos over with. */
  static async greet(path: string, as?: Identity): Promise<RawClient> {
    const client = await RawClient.connect(path, as);
    client.send(clientMessage.hello({ versions: [1, 1], software: 'raw/1' }));
    await client.next('hello');
    return client;
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    const decoder = new FrameDecoder(maxHelperPayload);
    socket.on('data', (chunk) => {
      for (const payload of decoder.push(chunk)) {
        const message = unpack(payload) as Message;
        this.received.push(message);
        this.#untaken.push(message);
      }
      this.#news.emit('news');
    });
    socket.on('error', () => undefined); // The close that follows is what counts.
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        resolve();
        this.#news.emit('news');
      });
    });
    onTestFinished(() => void socket.destroy());
  }

  send(...messages: (readonly unknown[])[]): void {
    this.socket.write(Buffer.concat(messages.map((message) => packFrame(message))));
  }

  /** Takes the next message of a type; those of other types can still be taken. */
  async next(type: string): Promise<Message> {
    let taken: Message | undefined;
    await this.until(`a message "${type}"`, () => {
      const index = this.#untaken.findIndex((message) => message[0] === type);
      if (index >= 0) [taken] = this.#untaken.splice(index, 1);
      return taken !== undefined;
    });
    return taken as Message;
  }

  /** Takes the next answer to a request: its value, or its error's `[code, message, remedy?]`. */
  async request(message: readonly unknown[]): Promise<unknown> {
    this.send(message);
    let answer: Message | undefined;
    await this.until(`an answer to ${String(message[1])}`, () => {
      const index = this.#untaken.findIndex(
        ([type, request]) => (type === 'result' || type === 'error') && request === message[1],
      );
      if (index >= 0) [answer] = this.#untaken.splice(index, 1);
      return answer !== undefined;
    });
    const [type, , ...rest] = answer as Message;
    return type === 'result' ? rest[0] : rest;
  }

  /** Reads on until a condition holds; fails when the connection ends before, or after a deadline in ms. */
  async until(what: string, holds: () => boolean, deadline = 20_000): Promise<void> {
    const signal = AbortSignal.timeout(deadline);
    while (!holds()) {
      if (this.socket.closed) throw new Error(`the connection ended before ${what}`);
      try {
        await once(this.#news, 'news', { signal });
      } catch (cause) {
        throw new Error(`waited ${deadline} ms in vain for ${what}`, { cause });
      }
    }
  }

  /** Reads on until a subscription is told of an event, which may have been held back for a while. */
  async hears(subscription: number, seq: number): Promise<void> {
    await this.until(`event ${seq}`, () =>
      this.told(subscription).some(([type, number]) => type !== 'lost' && number === seq),
    );
  }

  /** All that came for one subscription: wire events and `lost` messages, in order. */
  told(subscription: number): Message[] {
    return this.received.flatMap((message) => {
      if (message[1] !== subscription) return [];
      if (message[0] === 'events') return message[4] as Message[];
      return message[0] === 'lost' ? [message] : [];
    });
  }
}
