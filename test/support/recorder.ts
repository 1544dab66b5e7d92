/*
 * A subscriber that keeps of each event no more than it takes to compare streams of hundreds of thousands.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  clientMessage,
  FrameDecoder,
  maxHelperPayload,
  packFrame,
  unpack,
  versions,
  type SubscribeOptions,
} from '@procbus/protocol';
import { onTestFinished } from 'vitest';
import { impersonate, type Identity } from '../../packages/helper/test/support/impersonate.ts';
import { until } from './condition.ts';

export class Recorder {
  /** The numbers of the events that it was told, in order. */
  readonly numbers: number[] = [];
  /** Whatever came that is neither an event nor an answer. */
  readonly others: unknown[][] = [];
  /** How far the stream has been looked through for it. */
  seq = 0;
  readonly #socket: Socket;
  readonly #answers = new Map<number, unknown>();
  #request = 1;

  /** Connects, as somebody else where that is asked for, and subscribes. */
  static async start(
    socket: string,
    filter: object,
    { as, options }: { as?: Identity; options?: SubscribeOptions } = {},
  ): Promise<Recorder> {
    const recorder = new Recorder(
      as === undefined ? connect(socket) : impersonate(as, () => connect(socket)),
    );
    await once(recorder.#socket, 'connect');
    recorder.#send(clientMessage.hello({ versions, software: 'recorder/1' }));
    recorder.#send(clientMessage.subscribe(1, filter, options));
    await recorder.#answer(1);
    return recorder;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    const decoder = new FrameDecoder(maxHelperPayload);
    socket.on('data', (chunk) => {
      for (const payload of decoder.push(chunk)) this.#take(unpack(payload) as unknown[]);
    });
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
  }

  /** Where the stream stands. */
  async position(): Promise<number> {
    const request = ++this.#request;
    this.#send(clientMessage.ping(request));
    return ((await this.#answer(request)) as { seq: number }).seq;
  }

  /** Whether the connection has ended. */
  get hasEnded(): boolean {
    return this.#socket.closed;
  }

  #take(message: unknown[]): void {
    const [type, about] = message;
    if (type === 'events') {
      for (const event of message[4] as unknown[][]) this.numbers.push(event[1] as number);
      this.seq = message[2] as number;
    } else if (type === 'result') this.#answers.set(about as number, message[2]);
    else if (type !== 'hello') this.others.push(message);
  }

  #send(message: readonly unknown[]): void {
    this.#socket.write(packFrame(message));
  }

  async #answer(request: number): Promise<unknown> {
    await until(`an answer; there came ${JSON.stringify(this.others.slice(0, 3), (_, value: unknown) => typeof value === 'bigint' ? String(value) : value)}`, () => this.#answers.has(request));
    return this.#answers.get(request);
  }
}
