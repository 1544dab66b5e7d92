/*
 * One client, from its hello to its end. A bad frame, a flood or a disconnect ends here and costs
 * nobody else anything.
 */
import type { Socket } from 'node:net';
import {
  chooseVersion,
  helperMessage,
  parseClientMessage,
  ProcbusError,
  requestOf,
  versions,
  type ClientMessage,
  type HelperHello,
  type StreamPosition,
} from '@procbus/protocol';
import type { Broadcast } from '../bus/broadcast.ts';
import type { Asker } from '../bus/selection.ts';
import { clockOffset } from '../libc.ts';
import { log } from '../log.ts';
import type { Peer } from './credentials.ts';
import { Inbox } from './inbox.ts';
import { Outbox } from './outbox.ts';
import type { Granted } from './policy.ts';
import type { Share } from './quota.ts';
import { SnapshotSender } from './snapshot-sender.ts';
import { Subscriptions } from './subscriptions.ts';

/** How long a client that was told to go may take to read why, in ms. */
const farewellTime = 1000;
/** How long a client may take to say hello, to finish a frame, and to go on reading a snapshot, in ms. */
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
  /** How long a client may take to say hello, to finish a frame, and to go on reading a snapshot, in ms; 10,000 if left out. */
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

export class Session {
  readonly peer: Peer;
  readonly outbox: Outbox;
  /** How the client has introduced itself. */
  software = '';
  readonly #socket: Socket;
  readonly #share: Share;
  readonly #host: Host;
  readonly #patience: number;
  readonly #inbox: Inbox;
  readonly #subscriptions: Subscriptions;
  /** Undefined until the hello. */
  #granted: Granted | undefined;
  /** A snapshot that is on its way, behind which the next request waits. */
  #snapshot: SnapshotSender | undefined;
  #leaving = false;

  /** @param share - closed by who has opened it, after the socket has closed */
  constructor(socket: Socket, peer: Peer, share: Share, host: Host) {
    this.#socket = socket;
    this.peer = peer;
    this.#share = share;
    this.#host = host;
    this.#patience = host.patience ?? usualPatience;
    this.outbox = new Outbox(socket, share, host.outboxLimit());
    this.#subscriptions = new Subscriptions(host.broadcast, this.outbox, share, (reason) =>
      this.leave(reason),
    );
    // A client that shuts down its own side may still wait for the rest of a snapshot.
    socket.allowHalfOpen = true;
    this.#inbox = new Inbox(socket, share, this.#patience, {
      isBusy: () => this.#snapshot !== undefined || this.outbox.full,
      hasGreeted: () => this.#granted !== undefined,
      answer: (value) => this.#answer(value),
      finish: () => {
        this.#subscriptions.endAll();
        socket.end();
      },
      giveUp: (error) => this.#end(refusal(null, error)),
    });
    socket.on('drain', () => {
      this.#subscriptions.resume();
      this.#snapshot?.resume();
      this.#inbox.work();
    });
    // The close that follows says all there is to say: the peer went away.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#close());
  }

  /** What it costs, and what it was told. */
  get figures(): ConnectionFigures {
    const { peer, software, outbox } = this;
    const { queuedBytes, lag, delivered, dropped: lost } = outbox;
    return {
      pid: peer.pid,
      uid: peer.uid,
      software,
      subscriptions: this.#subscriptions.size,
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

  /** Whether it is still told of the past. */
  get isReplaying(): boolean {
    return this.#subscriptions.isReplaying;
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
      this.#subscriptions.regrant(this.#asker);
      const snapshot = this.#snapshot?.snapshot;
      if (snapshot !== undefined) this.#host.broadcast.regrantSnapshot(snapshot, this.#asker);
    } catch (error) {
      if (!(error instanceof ProcbusError)) throw error;
      this.leave(new ProcbusError('not-granted', error.message, { remedy: error.remedy }));
    }
  }

  #answer(value: unknown): void {
    try {
      this.#handle(parseClientMessage(value));
    } catch (error) {
      const told = refusal(requestOf(value), error);
      if (this.#granted === undefined) this.#end(told);
      else this.outbox.send(told);
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
        return this.#subscriptions.add(message.request, message.filter, this.#asker, message.options);
      case 'unsubscribe':
        this.#subscriptions.end(message.subscription);
        return this.#result(message.request, null);
      case 'snapshot':
        return this.#list(message.request, message.filter, message.ended);
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

  /** Its further requests wait until the client has got all of it. */
  #list(request: number, filter: unknown, ended: boolean): void {
    const snapshot = this.#host.broadcast.snapshot(filter, this.#asker, ended);
    this.#share.spend(0, snapshot.size);
    const { outbox } = this;
    const by = { outbox, share: this.#share, patience: this.#patience };
    this.#snapshot = new SnapshotSender(request, snapshot, by, {
      done: () => {
        this.#snapshot = undefined;
        this.#result(request, helperMessage.snapshotPosition(snapshot.position));
        this.#inbox.work();
      },
      giveUp: (error) => this.leave(error),
    });
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
    this.#inbox.close();
    this.#snapshot?.close();
    this.#snapshot = undefined;
    this.#subscriptions.endAll();
  }
}

/** What a client is told of an error; one that nobody expects is logged. */
function refusal(request: number | null, error: unknown): readonly unknown[] {
  if (!(error instanceof ProcbusError)) log(`a request failed: ${(error as Error).stack}`);
  const told =
    error instanceof ProcbusError ? error : new ProcbusError('internal', 'procbusd failed, see its log');
  return helperMessage.error(request, told);
}
