/*
 * One client, from its hello to its end. A bad frame, a flood or a disconnect ends here and costs
 * nobody else anything.
 *
 * Idea: what comes is decoded frame by frame, and only as fast as it is answered: a client that does not
 * read its answers, or whose user has asked for too much, is not read either.
 */
import type { Socket } from 'node:net';
import {
  checkStructure,
  chooseVersion,
  clientStructure,
  FrameDecoder,
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
  type SubscribeOptions,
} from '@procbus/protocol';
import type { Broadcast } from '../bus/broadcast.ts';
import type { Receiver } from '../bus/receiver.ts';
import type { Asker } from '../bus/selection.ts';
import { packSnapshot, type Snapshot } from '../bus/snapshot.ts';
import type { Subscription } from '../bus/subscription.ts';
import { clockOffset } from '../libc.ts';
import { log } from '../log.ts';
import type { Peer } from './credentials.ts';
import { Outbox } from './outbox.ts';
import { Gate } from './gate.ts';
import type { Granted } from './policy.ts';
import type { Share } from './quota.ts';

/** Subscriptions of one connection at most. */
const subscriptionLimit = 64;
/** How long a client that was told to go may take to read why, in ms. */
const farewellTime = 1000;
/** How long a client may take to say hello, and to finish a frame that it has begun, in ms. */
const usualPatience = 10_000;

/** What a session needs to know of the helper it belongs to. */
export interface Host {
  readonly broadcast: Broadcast;
  readonly software: string;
  readonly bootId: string;
  /** Bytes that may wait for one client. */
  outboxLimit(): number | undefined;
  /** What a peer may see, as of now; undefined for nothing. */
  grantTo(peer: Peer): Granted | undefined;
  /** The error `not-granted` for a peer who may see nothing. */
  refusal(peer: Peer): ProcbusError;
  stats(session: Session): Record<string, unknown>;
  /** How long a client may take to say hello, and to finish a frame that it has begun, in ms; 10,000 if left out. */
  readonly patience?: number;
}

/** What one connection costs, and what it was told. */
export interface ConnectionFigures {
  readonly pid: number;
  readonly uid: number;
  /** How the client introduced itself. */
  readonly software: string;
  readonly subscriptions: number;
  readonly queuedBytes: number;
  /** How long the oldest of what is queued has waited at most, in s; 0 where nothing is. */
  readonly lag: number;
  /** Events that were queued for it. */
  readonly delivered: number;
  /** Events that were dropped for it. */
  readonly lost: number;
}

/** A subscription of this client. */
interface Held {
  readonly subscription: Subscription;
  readonly options: SubscribeOptions;
  /** Gives back what it takes of the user's. */
  readonly release: () => void;
}

export class Session {
  readonly peer: Peer;
  readonly outbox: Outbox;
  /** How the client has introduced itself. */
  software = '';
  readonly #socket: Socket;
  readonly #share: Share;
  readonly #host: Host;
  readonly #decoder = new FrameDecoder(maxClientPayload);
  readonly #held = new Map<number, Held>();
  /** Undefined until the hello. */
  #granted: Granted | undefined;
  /** What came and is not decoded yet, and the frames of the piece that is being decoded. */
  readonly #chunks: Buffer[] = [];
  #payloads: Generator<Buffer, void, undefined> | undefined;
  /** A snapshot that is on its way, behind which the next request waits. */
  #sending: { readonly resume: () => void; readonly stop: () => void } | undefined;
  /** Gives up the place in the line of the user's requests. */
  #leaveLine: (() => void) | undefined;
  #deadline: NodeJS.Timeout | undefined;
  /** Whether the client has said all that it will ever say. */
  #heardAll = false;
  #leaving = false;

  /** @param share - closed by who has opened it, after the socket has closed */
  constructor(socket: Socket, peer: Peer, share: Share, host: Host) {
    this.#socket = socket;
    this.peer = peer;
    this.#share = share;
    this.#host = host;
    this.outbox = new Outbox(socket, share, host.outboxLimit());
    socket.on('data', (chunk) => {
      // Nobody listens any more to one who has been told to go.
      if (this.#leaving) return;
      this.#chunks.push(chunk);
      this.#work();
    });
    socket.on('drain', () => {
      for (const { subscription } of this.#held.values()) subscription.resume();
      this.#sending?.resume();
      this.#work();
    });
    // A client that shuts down its own side may still wait for the rest of a snapshot.
    socket.allowHalfOpen = true;
    socket.on('end', () => {
      this.#heardAll = true;
      this.#work();
    });
    // The close that follows says all there is to say: the peer went away.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#close());
    this.#expectMore();
  }

  /** What it costs, and what it was told. */
  get figures(): ConnectionFigures {
    const { peer, software, outbox } = this;
    const { queuedBytes, lag, delivered, dropped: lost } = outbox;
    return {
      pid: peer.pid,
      uid: peer.uid,
      software,
      subscriptions: this.#held.size,
      queuedBytes,
      lag,
      delivered,
      lost,
    };
  }

  /** Whether this client may see the figures of the whole helper. */
  get seesAll(): boolean {
    return this.#granted?.stats === 'all';
  }

  /** Tells the client why it has to go, and ends the connection. */
  leave(reason: ProcbusError): void {
    if (!this.#leaving) this.#end(helperMessage.goodbye(reason));
  }

  /** What is granted may have changed: goes on under the grant of now, or says goodbye where it cannot. */
  regrant(): void {
    if (this.#granted === undefined || this.#leaving) return;
    try {
      const granted = this.#grant();
      if (JSON.stringify(granted) === JSON.stringify(this.#granted)) return;
      this.#granted = granted;
      this.#share.limits = granted.limits;
      for (const { subscription, options } of this.#held.values()) {
        this.#host.broadcast.regrant(subscription, this.#asker, options);
      }
    } catch (error) {
      if (!(error instanceof ProcbusError)) throw error;
      this.leave(new ProcbusError('not-granted', error.message, { remedy: error.remedy }));
    }
  }

  /** Decodes and answers what has come, as far as it may be answered now. */
  #work(): void {
    while (!this.#leaving && this.#sending === undefined && this.#leaveLine === undefined) {
      if (this.outbox.full) return this.#waitUntilRead();
      if (this.#payloads === undefined && this.#chunks.length === 0) return this.#waitForMore();
      if (!this.#share.isReady) return this.#standInLine();
      this.#answerNext();
    }
  }

  /** Everything has been answered. */
  #waitForMore(): void {
    if (this.#heardAll) {
      this.#unsubscribeAll();
      this.#socket.end();
    } else {
      this.#expectMore();
      this.#socket.resume();
    }
  }

  /** Until what waits has been read, nothing is heard, and so nothing expected. */
  #waitUntilRead(): void {
    this.#stopExpecting();
    this.#socket.pause();
  }

  #standInLine(): void {
    this.#stopExpecting();
    this.#socket.pause();
    this.#leaveLine = this.#share.wait(() => {
      this.#leaveLine = undefined;
      this.#answerNext();
      this.#work();
    });
  }

  /** Answers the next frame, if one is complete, and charges the time that it takes. */
  #answerNext(): void {
    const begun = performance.now();
    try {
      this.#payloads ??= this.#decoder.push(this.#chunks.shift() as Buffer);
      const { value: payload, done } = this.#payloads.next();
      if (done === true) {
        this.#payloads = undefined;
        return;
      }
      this.#stopExpecting();
      checkStructure(payload, clientStructure);
      this.#share.spend(1, 0);
      this.#answer(unpack(payload));
    } catch (error) {
      // Where a frame cannot be read, the rest of the stream cannot be trusted either.
      this.#end(this.#refusal(null, error));
    } finally {
      this.#share.spend(0, since(begun));
    }
  }

  /** A hello, and the rest of a frame that has begun, have to come soon. */
  #expectMore(): void {
    if (this.#granted !== undefined && this.#decoder.pending === 0) return;
    const { patience = usualPatience } = this.#host;
    const [code, what] =
      this.#granted === undefined
        ? (['hello-expected', 'no hello'] as const)
        : (['bad-frame', 'half a frame'] as const);
    this.#deadline ??= setTimeout(() => {
      this.#end(this.#refusal(null, new ProcbusError(code, `${what} within ${patience / 1000} s`)));
    }, patience);
  }

  #stopExpecting(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }

  #answer(value: unknown): void {
    try {
      this.#handle(parseClientMessage(value));
    } catch (error) {
      const refusal = this.#refusal(requestOf(value), error);
      if (this.#granted === undefined) this.#end(refusal);
      else this.outbox.send(refusal);
    }
  }

  #handle(message: ClientMessage): void {
    if (message.type === 'hello') {
      if (this.#granted !== undefined) throw new ProcbusError('bad-message', 'a second hello');
      const { software, versions: theirs } = message.hello;
      const version = chooseVersion(versions, theirs);
      const granted = this.#grant();
      this.#granted = granted;
      // The rules may have changed since it connected.
      this.#share.limits = granted.limits;
      this.software = software;
      this.outbox.send(helperMessage.hello(this.#hello(version, granted)));
      return;
    }
    if (this.#granted === undefined) {
      throw new ProcbusError('hello-expected', 'the first message has to be hello');
    }
    switch (message.type) {
      case 'subscribe':
        return this.#subscribe(message.request, message.filter, message.options);
      case 'unsubscribe':
        this.#unsubscribe(message.subscription);
        return this.#result(message.request, null);
      case 'snapshot': {
        const snapshot = this.#host.broadcast.snapshot(message.filter, this.#asker, message.ended);
        this.#share.spend(0, snapshot.size);
        return this.#snapshot(message.request, snapshot);
      }
      case 'ping':
        return this.#result(message.request, helperMessage.position(this.#position()));
      case 'stats':
        return this.#result(message.request, this.#host.stats(this));
      case 'goodbye':
        return this.#end();
    }
  }

  /** @throws ProcbusError `not-granted` */
  #grant(): Granted {
    const granted = this.#host.grantTo(this.peer);
    if (granted === undefined) throw this.#host.refusal(this.peer);
    return granted;
  }

  /** Who asks. Only after the hello. */
  get #asker(): Asker {
    return { uid: this.peer.uid, grant: this.#granted as Granted };
  }

  #subscribe(request: number, filter: unknown, options: SubscribeOptions): void {
    if (this.#held.has(request)) {
      throw new ProcbusError('subscription-in-use', `there is a subscription ${request} already`);
    }
    if (this.#held.size >= subscriptionLimit) {
      throw new ProcbusError('too-many-subscriptions', `at most ${subscriptionLimit} in one connection`, {
        remedy: 'Unsubscribe first, or open another connection.',
      });
    }
    const discharge = this.#share.subscribe();
    const { receiver, gate } = this.#receiver(request, options);
    const release = (): void => {
      gate.close();
      discharge();
    };
    try {
      const onWork = (entries: number, time: number): void => this.#share.spend(0, Math.max(entries, time));
      const { broadcast } = this.#host;
      const subscription = broadcast.subscribe(filter, this.#asker, options, receiver, onWork);
      this.#held.set(request, { subscription, options, release });
      this.#result(request, helperMessage.subscriptionStart(subscription.start));
      subscription.begin();
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Where the events of a subscription go; a replay stands in the line of the user's requests. */
  #receiver(request: number, { onLag }: SubscribeOptions): { receiver: Receiver; gate: Gate } {
    const { outbox } = this;
    const subscription = (): Subscription | undefined => this.#held.get(request)?.subscription;
    const isReplaying = (): boolean => subscription()?.isReplaying === true;
    const gate = new Gate(outbox, this.#share, () => subscription()?.advance());
    const receiver: Receiver = {
      deliver: (delivery) => {
        if (isReplaying()) outbox.replay(request, delivery);
        else if (!outbox.deliver(request, delivery) && onLag === 'disconnect') this.#fallBehind(request);
      },
      lose: (loss) => (isReplaying() ? outbox.tell(request, loss) : outbox.lose(request, loss)),
      hasRoom: () => gate.letThrough(),
      pay: (time) => this.#share.pay(time),
      fallBehind: (seq) => subscription()?.fallBehind(seq),
    };
    return { receiver, gate };
  }

  /** Not from within the delivery, in which others are told too. */
  #fallBehind(subscription: number): void {
    queueMicrotask(() =>
      this.leave(
        new ProcbusError('lagged', `subscription ${subscription} has not been read in time`, {
          remedy: 'Read faster, ask for fewer events, or subscribe without onLag: disconnect.',
        }),
      ),
    );
  }

  #unsubscribe(id: number): void {
    const held = this.#held.get(id);
    if (held === undefined) {
      throw new ProcbusError('no-such-subscription', `there is no subscription ${id}`);
    }
    held.subscription.end();
    this.#held.delete(id);
    this.outbox.forget(id);
    held.release();
  }

  /** Sends a snapshot part by part, as the client reads it; its further requests wait meanwhile. */
  #snapshot(request: number, snapshot: Snapshot): void {
    const pieces = snapshot.pieces();
    let turn: NodeJS.Immediate | undefined;
    const sendMore = (): void => {
      if (!gate.letThrough()) return;
      const begun = performance.now();
      const { value: piece } = pieces.next();
      for (const part of packSnapshot(piece ?? [])) {
        this.outbox.sendPacked(helperMessage.processesHead(request), part);
      }
      this.#share.spend(0, since(begun));
      if (piece !== undefined) return resume();
      this.#sending = undefined;
      this.#result(request, helperMessage.snapshotPosition(snapshot.position));
      this.#work();
    };
    const resume = (): void => {
      turn ??= setImmediate(() => {
        turn = undefined;
        sendMore();
      });
    };
    const gate = new Gate(this.outbox, this.#share, sendMore);
    const stop = (): void => {
      clearImmediate(turn);
      gate.close();
    };
    this.#sending = { resume, stop };
    this.#socket.pause();
    resume();
  }

  #hello(version: number, { scope, detail, events }: Granted): HelperHello {
    const { broadcast, software, bootId } = this.#host;
    const grant = { scope, detail, events };
    return { version, versions, software, epoch: broadcast.epoch, bootId, ...this.#position(), grant };
  }

  #position(): StreamPosition {
    return { seq: this.#host.broadcast.seq, clockOffset: clockOffset() };
  }

  #result(request: number, value: unknown): void {
    this.outbox.send(helperMessage.result(request, value));
  }

  /** What a client is told of an error; one that nobody expects is logged. */
  #refusal(request: number | null, error: unknown): readonly unknown[] {
    if (!(error instanceof ProcbusError)) log(`a request failed: ${(error as Error).stack}`);
    const told =
      error instanceof ProcbusError ? error : new ProcbusError('internal', 'procbusd failed, see its log');
    return helperMessage.error(request, told);
  }

  /** Ends the connection, with a last message behind all that has happened so far. */
  #end(last?: readonly unknown[]): void {
    if (this.#leaving) return;
    this.#stop();
    if (last !== undefined) this.outbox.send(last);
    // Closing our reading side at once would make the client lose what it has not read yet: its next
    // write would fail, and Node gives up a socket at that.
    this.#socket.end();
    this.#socket.resume();
    const giveUp = setTimeout(() => this.#socket.destroy(), farewellTime);
    this.#socket.once('close', () => clearTimeout(giveUp));
  }

  /** The socket has closed: nothing stays behind. */
  #close(): void {
    this.#stop();
    this.outbox.close();
  }

  #stop(): void {
    this.#leaving = true;
    this.#stopExpecting();
    this.#leaveLine?.();
    this.#sending?.stop();
    this.#sending = undefined;
    this.#unsubscribeAll();
  }

  #unsubscribeAll(): void {
    for (const id of this.#held.keys()) this.#unsubscribe(id);
  }
}

/** µs since a time on the clock of `performance.now()`. */
function since(begun: number): number {
  return 1000 * (performance.now() - begun);
}
