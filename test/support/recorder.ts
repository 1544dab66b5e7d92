/*
 * A subscriber that keeps of each event no more than its number: enough to compare streams of hundreds of
 * thousands.
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
} from '@procbus/protocol';
import { onTestFinished } from 'vitest';
import { impersonate, type Identity } from '../../packages/helper/test/support/impersonate.ts';
import { until } from './condition.ts';

export class Recorder {
  /** The sequence numbers of the events that it was told, in order. */
  readonly numbers: number[] = [];
  /** What came that is neither an event nor an answer: losses, errors, a goodbye. */
  readonly others: unknown[][] = [];
  /** The number that it was subscribed behind. */
  start = 0;
  /** How far the stream has been looked through for it. */
  seq = 0;
  readonly #socket: Socket;
  readonly #answers = new Map<number, unknown>();
  #request = 1;

  /** Connects, as somebody else where that is asked for, and subscribes. The connection ends with the test. */
  static async subscribe(path: string, filter: object, as?: Identity): Promise<Recorder> {
    const recorder = new Recorder(as === undefined ? connect(path) : impersonate(as, () => connect(path)));
    await once(recorder.#socket, 'connect');
    recorder.#send(clientMessage.hello({ versions, software: 'recorder/1' }));
    recorder.#send(clientMessage.subscribe(1, filter));
    recorder.start = await recorder.#answer(1);
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

  /** Asks where the stream stands. */
  async position(): Promise<number> {
    const request = ++this.#request;
    this.#send(clientMessage.ping(request));
    return this.#answer(request);
  }

  #take(message: unknown[]): void {
    const [type, about] = message;
    if (type === 'events') {
      for (const event of message[4] as unknown[][]) this.numbers.push(event[1] as number);
      this.seq = message[2] as number;
    } else if (type === 'result') {
      this.#answers.set(about as number, (message[2] as { seq: unknown }).seq);
    } else if (type !== 'hello') {
      this.others.push(message);
    }
  }

  #send(message: readonly unknown[]): void {
    this.#socket.write(packFrame(message));
  }

  async #answer(request: number): Promise<number> {
    await until('an answer', () => {
      if (this.#socket.closed) throw new Error(`the connection has ended: ${this.others.join('; ')}`);
      return this.#answers.has(request);
    });
    return this.#answers.get(request) as number;
  }
}
