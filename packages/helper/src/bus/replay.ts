/*
 * What happened before a subscription was made, told from the journal, piece by piece and as fast as it
 * is read.
 */
import { EventWriter } from '@procbus/protocol';
import { clockOffset, monotonicTime } from '../libc.ts';
import { deliveriesOf } from './group.ts';
import { numberOf } from './entries.ts';
import type { Journal } from './journal.ts';
import type { Receiver } from './receiver.ts';
import type { Selection } from './selection.ts';
import { lossOf } from './view.ts';

/** Entries looked at in one go, so that others get their turn. */
export const replayStep = 512;
/** No piece takes much longer than so many ms. */
const stepTime = 5;

export class Replay {
  selection: Selection;
  readonly #journal: Journal;
  readonly #receiver: Receiver;
  readonly #marked: ReadonlyMap<string, number>;
  readonly #piece: number;
  readonly #writer = new EventWriter();
  #seq: number;

  /**
   * @param seq - tells what came behind this number
   * @param marked - since which number somebody has watched a subtree
   * @param piece - entries looked at in one go
   */
  constructor(
    journal: Journal,
    selection: Selection,
    receiver: Receiver,
    seq: number,
    marked: ReadonlyMap<string, number>,
    piece: number = replayStep,
  ) {
    this.#journal = journal;
    this.#marked = marked;
    this.#piece = piece;
    this.selection = selection;
    this.#receiver = receiver;
    this.#seq = seq;
  }

  /** Tells a piece, or as much of it as there is time for; returns how many entries were looked at, 0 where there is nothing more to tell. */
  step(): number {
    if (this.#seq < this.#journal.oldest) this.#skip();
    const entries = this.#journal.after(this.#seq, this.#piece);
    const end = performance.now() + stepTime;
    let count = 0;
    for (const entry of entries) {
      if ('where' in entry) {
        // Whoever is cut off before they hear of a loss must not think that they have come behind it.
        this.#deliver();
        this.#receiver.lose(lossOf(this.selection.lens, entry));
      } else {
        this.selection.showPast(this.#writer, entry.seq, entry, this.#marked);
      }
      this.#seq = numberOf(entry);
      count++;
      if (performance.now() >= end) break;
    }
    this.#deliver();
    return count;
  }

  /** The journal has gone on without us. */
  #skip(): void {
    const { oldest } = this.#journal;
    const [from, to] = [this.#seq + 1, oldest];
    const now = { clockOffset: clockOffset(), kernelTime: monotonicTime() };
    this.#receiver.lose(
      lossOf(this.selection.lens, { where: 'journal', count: to - from + 1, from, to, ...now }),
    );
    this.#seq = oldest;
  }

  #deliver(): void {
    for (const delivery of deliveriesOf(this.#writer.take(), this.#seq)) this.#receiver.deliver(delivery);
  }
}
