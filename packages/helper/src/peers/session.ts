/*
 * One client, from its hello to its end. A bad frame, a flood or a disconnect ends here and costs
 * nobody else anything.
 */
import type { Socket } from 'node:net';
import {
  checkStructure,
  chooseVersion,
  clientStructure,
  FrameDecoder,
  fullGrant,
  helperMessage,
  maxClientPayload,
  parseClientMessage,
  ProcbusError,
  requestOf,
  unpack,
  versions,
  type ClientMessage,
  type HelperHello,
  type StreamPosition,
} from '@procbus/protocol';
import type { Broadcast, Receiver } from '../bus/broadcast.ts';
import { packSnapshot, type Snapshot } from '../bus/snapshot.ts';
import { clockOffset } from '../libc.ts';
import { log } from '../log.ts';
import { Outbox } from './outbox.ts';

/** Subscriptions of one connection at most. */
const subscriptionLimit = 64;
/** How long a client that was told to go may take to read why, in ms. */
const farewellTime = 1000;

/** What a session needs to know of the helper it belongs to. */
export interface Host {
  readonly broadcast: Broadcast;
  readonly software: string;
  readonly bootId: string;
  stats(): Record<string, unknown>;
}

export class Session {
  readonly outbox: Outbox;
  readonly #socket: Socket;
  readonly #host: Host;
  readonly #decoder = new FrameDecoder(maxClientPayload);
  /** What ends each subscription. */
  readonly #subscriptions = new Map<number, () => void>();
  /** What came while a snapshot was on its way; it is answered in order. */
  readonly #waiting: unknown[] = [];
  #sending = false;
  /** Whether the client has said all that it will ever say. */
  #heardAll = false;
  #greeted = false;
  #leaving = false;

  constructor(socket: Socket, host: Host) {
    this.#socket = socket;
    this.#host = host;
    this.outbox = new Outbox(socket);
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('drain', () => socket.resume());
    // A client that shuts down its own side may still wait for the rest of a snapshot.
    socket.allowHalfOpen = true;
    socket.on('end', () => {
      this.#heardAll = true;
      this.#answerWaiting();
    });
    // The close that follows says all there is to say: the peer went away.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#unsubscribeAll());
  }

  get subscriptions(): number {
    return this.#subscriptions.size;
  }

  /** Tells the client why it has to go, and ends the connection. */
  leave(reason: ProcbusError): void {
    if (this.#leaving) return;
    this.outbox.send(helperMessage.goodbye(reason));
    this.#end();
  }

  #receive(chunk: Buffer): void {
    if (this.#leaving) return;
    try {
      for (const payload of this.#decoder.push(chunk)) {
        if (this.#leaving) return;
        checkStructure(payload, clientStructure);
        this.#waiting.push(unpack(payload));
        this.#answerWaiting();
      }
    } catch (error) {
      // Where a frame cannot be read, the rest of the stream cannot be trusted either.
      this.#refuse(null, error);
      this.#end();
    }
    if (this.outbox.full) this.#socket.pause();
  }

  #answerWaiting(): void {
    while (!this.#sending && !this.#leaving && this.#waiting.length > 0) this.#answer(this.#waiting.shift());
    if (this.#heardAll && !this.#sending) this.#socket.end();
  }

  #answer(value: unknown): void {
    try {
      this.#handle(parseClientMessage(value));
    } catch (error) {
      this.#refuse(requestOf(value), error);
      if (!this.#greeted) this.#end();
    }
  }

  #handle(message: ClientMessage): void {
    if (message.type === 'hello') {
      if (this.#greeted) throw new ProcbusError('bad-message', 'a second hello');
      const version = chooseVersion(versions, message.hello.versions);
      this.#greeted = true;
      this.outbox.send(helperMessage.hello(this.#hello(version)));
      return;
    }
    if (!this.#greeted) throw new ProcbusError('hello-expected', 'the first message has to be hello');
    switch (message.type) {
      case 'subscribe':
        this.#subscribe(message.request, message.filter);
        return this.#result(
          message.request,
          helperMessage.subscriptionStart({ ...this.#position(), roots: {} }),
        );
      case 'unsubscribe':
        this.#unsubscribe(message.subscription);
        return this.#result(message.request, null);
      case 'snapshot':
        return this.#snapshot(message.request, this.#host.broadcast.snapshot(message.filter, message.ended));
      case 'ping':
        return this.#result(message.request, helperMessage.position(this.#position()));
      case 'stats':
        return this.#result(message.request, this.#host.stats());
      case 'goodbye':
        return this.#end();
    }
  }

  #subscribe(request: number, filterRequest: unknown): void {
    if (this.#subscriptions.has(request)) {
      throw new ProcbusError('subscription-in-use', `there is a subscription ${request} already`);
    }
    if (this.#subscriptions.size >= subscriptionLimit) {
      throw new ProcbusError('too-many-subscriptions', `at most ${subscriptionLimit} in one connection`, {
        remedy: 'Unsubscribe first, or open another connection.',
      });
    }
    const receiver: Receiver = {
      deliver: (delivery) => this.outbox.deliver(request, delivery),
      lose: (loss) => this.outbox.lose(request, loss),
    };
    this.#subscriptions.set(request, this.#host.broadcast.subscribe(filterRequest, receiver));
  }

  #unsubscribe(id: number): void {
    const end = this.#subscriptions.get(id);
    if (end === undefined) {
      throw new ProcbusError('no-such-subscription', `there is no subscription ${id}`);
    }
    this.#subscriptions.delete(id);
    this.outbox.forget(id);
    end();
  }

  #unsubscribeAll(): void {
    for (const id of this.#subscriptions.keys()) this.#unsubscribe(id);
  }

  /** Sends a snapshot part by part, as the client reads it; its further requests wait meanwhile. */
  #snapshot(request: number, { processes, ...position }: Snapshot): void {
    const parts = packSnapshot(processes);
    const sendMore = (): void => {
      this.#sending = true;
      while (!this.outbox.full) {
        const { value: part } = parts.next();
        if (part === undefined) {
          this.#sending = false;
          return this.#result(request, helperMessage.snapshotPosition(position));
        }
        this.outbox.sendPacked(helperMessage.processesHead(request), part);
      }
      this.#socket.pause();
      this.#socket.once('drain', () => {
        sendMore();
        this.#answerWaiting();
      });
    };
    sendMore();
  }

  #hello(version: number): HelperHello {
    const { broadcast, software, bootId } = this.#host;
    return {
      version,
      versions,
      software,
      epoch: broadcast.epoch,
      bootId,
      ...this.#position(),
      grant: fullGrant,
    };
  }

  #position(): StreamPosition {
    return { seq: this.#host.broadcast.seq, clockOffset: clockOffset() };
  }

  #result(request: number, value: unknown): void {
    this.outbox.send(helperMessage.result(request, value));
  }

  #refuse(request: number | null, error: unknown): void {
    if (!(error instanceof ProcbusError)) log(`a request failed: ${(error as Error).stack}`);
    const told =
      error instanceof ProcbusError ? error : new ProcbusError('internal', 'procbusd failed, see its log');
    this.outbox.send(helperMessage.error(request, told));
  }

  #end(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#unsubscribeAll();
    // Closing our reading side at once would make the client lose what it has not read yet: its next
    // write would fail, and Node gives up a socket at that.
    this.#socket.end();
    this.#socket.resume();
    const giveUp = setTimeout(() => this.#socket.destroy(), farewellTime);
    this.#socket.once('close', () => clearTimeout(giveUp));
  }
}
