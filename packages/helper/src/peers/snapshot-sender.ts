/*
 * A snapshot on its way to a client: piece by piece, as the client reads it and its user may have it.
 */
import { helperMessage } from '@procbus/protocol';
import { packSnapshot, type Snapshot } from '../bus/snapshot.ts';
import { Gate } from './gate.ts';
import type { Outbox } from './outbox.ts';
import type { Share } from './quota.ts';
import { since } from './time.ts';

export class SnapshotSender {
  readonly #request: number;
  readonly #pieces: ReturnType<Snapshot['pieces']>;
  readonly #outbox: Outbox;
  readonly #share: Share;
  readonly #gate: Gate;
  readonly #onDone: () => void;
  #turn: NodeJS.Immediate | undefined;

  /** @param onDone - called once, behind the last piece */
  constructor(request: number, snapshot: Snapshot, outbox: Outbox, share: Share, onDone: () => void) {
    this.#request = request;
    this.#pieces = snapshot.pieces();
    this.#outbox = outbox;
    this.#share = share;
    this.#onDone = onDone;
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
    this.#gate.close();
  }

  #sendMore(): void {
    if (!this.#gate.letThrough()) return;
    const begun = performance.now();
    const { value: piece } = this.#pieces.next();
    for (const part of packSnapshot(piece ?? [])) {
      this.#outbox.sendPacked(helperMessage.processesHead(this.#request), part);
    }
    this.#share.spend(0, since(begun));
    if (piece === undefined) this.#onDone();
    else this.resume();
  }
}
