/*
 * A helper that follows a script. It answers by itself what the test does not care for, and comes and goes as
 * the test wants; what it says, it says to the client that came last.
 */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import {
  FrameDecoder,
  helperMessage,
  maxClientPayload,
  packFrame,
  unpack,
  type HelperHello,
  type WireError,
} from '@procbus/protocol';
import { onTestFinished } from 'vitest';
import { until } from './condition.ts';
import { helperHello, politely } from './impostor.ts';
import { temporaryDirectory } from './procbus.ts';

/** A message of the client, as it came. */
export type Asked = [type: string, request: number, ...elements: unknown[]];

export class Script {
  readonly path: string = join(temporaryDirectory(), 'script.sock');
  /** All that clients have said, over all connections. */
  readonly asked: Asked[] = [];
  /** What the next client is told. */
  hello: HelperHello = helperHello;
  /** What the next clients are told in the place of a hello; `close` for nothing at all. */
  refusal: WireError | 'close' | undefined;
  /** What the next message of a type is answered with in the place of a result. */
  readonly refuse = new Map<string, WireError>();
  /** How many clients have come. */
  connections = 0;
  readonly #unanswered: readonly string[];
  readonly #sockets = new Set<Socket>();
  #socket: Socket | undefined;
  #server: Server | undefined;

  private constructor(unanswered: readonly string[]) {
    this.#unanswered = unanswered;
    onTestFinished(async () => this.stop());
  }

  /** @param unanswered - types of messages that the test answers */
  static async start(...unanswered: string[]): Promise<{ script: Script; socket: string }> {
    const script = new Script(unanswered);
    await script.listen();
    return { script, socket: script.path };
  }

  /** Clients that are there. */
  get clients(): number {
    return this.#sockets.size;
  }

  /** Comes back. */
  async listen(): Promise<void> {
    this.#server = createServer((socket) => this.#serve(socket)).listen(this.path);
    await once(this.#server, 'listening');
  }

  /** Ends all connections and listens no more. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (server === undefined) return;
    server.close();
    await once(server, 'close');
    rmSync(this.path, { force: true });
  }

  /** Sends messages, all in one piece. */
  say(...messages: unknown[][]): void {
    this.#socket?.write(Buffer.concat(messages.map((message) => packFrame(message))));
  }

  /** Ends the connection, with a goodbye if there is a reason. */
  leave(reason?: WireError): void {
    if (reason !== undefined) this.say(helperMessage.goodbye(reason));
    this.#socket?.end();
  }

  /** Waits for a message of a type; returns its elements. */
  async hears(type: string, count = 1): Promise<Asked> {
    return until(`"${type}"`, () => this.asked.filter(([name]) => name === type)[count - 1]);
  }

  /** The messages of a type so far. */
  heard(type: string): Asked[] {
    return this.asked.filter(([name]) => name === type);
  }

  #serve(socket: Socket): void {
    this.connections++;
    this.#socket = socket;
    this.#sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    const decoder = new FrameDecoder(maxClientPayload);
    socket.on('data', (chunk) => {
      for (const payload of decoder.push(chunk)) this.#take(unpack(payload) as Asked);
    });
  }

  #take(message: Asked): void {
    this.asked.push(message);
    const [type, request, ...rest] = message;
    const error = this.refuse.get(type);
    this.refuse.delete(type);
    if (type === 'hello') this.#greet();
    else if (error !== undefined) this.say(helperMessage.error(request, error));
    else if (!this.#unanswered.includes(type)) this.say(...politely(type, request, ...rest));
  }

  #greet(): void {
    if (this.refusal === undefined) return this.say(helperMessage.hello(this.hello));
    if (this.refusal !== 'close') this.say(helperMessage.error(null, this.refusal));
    this.leave();
  }
}
