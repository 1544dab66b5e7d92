/*
 * Before something long that is done for a client piece by piece: a snapshot, or a replay. Each piece waits until the
 * client has read what it was sent, and until time has paid for what was done before.
 */
import type { Outbox } from './outbox.ts';
import type { Share } from './quota.ts';

export class Gate {
  readonly #outbox: Pick<Outbox, 'full'>;
  readonly #share: Pick<Share, 'isReady' | 'wait'>;
  readonly #onTurn: () => void;
  #leaveLine: (() => void) | undefined;
  #hasTurn = false;

  /** @param onTurn - called when a piece that was not let through may be done, which it should be at once */
  constructor(outbox: Pick<Outbox, 'full'>, share: Pick<Share, 'isReady' | 'wait'>, onTurn: () => void) {
    this.#outbox = outbox;
    this.#share = share;
    this.#onTurn = onTurn;
  }

  /**
   * Whether the next piece may be done now. If not, it stands in the line of its user; what the client has not read
   * yet is up to the caller to wait for.
   */
  letThrough(): boolean {
    if (this.#outbox.full || this.#leaveLine !== undefined) return false;
    if (this.#share.isReady || this.#hasTurn) {
      this.#hasTurn = false;
      return true;
    }
    this.#leaveLine = this.#share.wait(() => {
      this.#leaveLine = undefined;
      this.#hasTurn = true;
      this.#onTurn();
    }, true);
    return false;
  }

  /** Gives up its place in the line. */
  close(): void {
    this.#leaveLine?.();
    this.#leaveLine = undefined;
  }
}
