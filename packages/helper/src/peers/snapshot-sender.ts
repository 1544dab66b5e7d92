/*
 * A snapshot on its way to a client: piece by piece, as the client reads it and its user may have it.
 *
 * It holds what there was to tell of all processes at its time, and they may have ended since: so a client that does
 * not go on reading has to go.
 */
import { helperMessage, packFrameHead, ProcbusError } from '@procbus/protocol';
import { packSnapshot, type Snapshot } from '../bus/snapshot.ts';
import { Gate } from './gate.ts';
import { takenSince, threadTime } from '../libc.ts';
import type { Outbox } from './outbox.ts';
import type { Share } from './quota.ts';

/** How it ends, unless it is given up. */
interface End {
  /** Behind the last piece. */
  done(): void;
  /** The client does not go on reading. */
  giveUp(error: ProcbusError): void;
}

export class SnapshotSender {
  readonly snapshot: Snapshot;
  readonly #request: number;
  readonly #pieces: ReturnType<Snapshot['pieces']>;
  readonly #outbox: Outbox;
  readonly #share: Share;
  readonly #gate: Gate;
  readonly #patience: number;
  readonly #end: End;
  #turn: NodeJS.Immediate | undefined;
  #deadline: NodeJS.Timeout | undefined;

  /** @param patience - how long the client may take to go on reading, in ms */
  constructor(
    request: number,
    snapshot: Snapshot,
    { outbox, share, patience }: { outbox: Outbox; share: Share; patience: number },
    end: End,
  ) {
    this.snapshot = snapshot;
    this.#request = request;
    this.#pieces = snapshot.pieces();
    this.#outbox = outbox;
    this.#share = share;
    this.#patience = patience;
    this.#end = end;
    this.#gate = new Gate(outbox, share, () => this.#sendMore());
    this.resume();
  }

  /** There may be room for more. */
  resume(): void {
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#sendMore();
    });
  }

  /** Gives it up. */
  close(): void {
    clearImmediate(this.#turn);
    clearTimeout(this.#deadline);
    this.#gate.close();
  }

  #sendMore(): void {
    clearTimeout(this.#deadline);
    if (this.#outbox.full)
      this.#deadline = setTimeout(() => this.#end.giveUp(this.#unread()), this.#patience);
    if (!this.#gate.letThrough()) return;
    const begun = threadTime();
    const { value: piece } = this.#pieces.next();
    for (const part of packSnapshot(piece ?? [])) {
      const head = packFrameHead(helperMessage.processesHead(this.#request), part.length);
      this.#outbox.sendPacked(head, part);
    }
    this.#share.spend(0, takenSince(begun));
    if (piece === undefined) this.#end.done();
    else this.resume();
  }

  #unread(): ProcbusError {
    const message = `what was asked for in request ${this.#request} was not read for ${this.#patience / 1000} s`;
    return new ProcbusError('lagged', message, { remedy: 'Read a list of processes as it comes.' });
  }
}
