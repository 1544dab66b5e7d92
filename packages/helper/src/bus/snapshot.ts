/*
 * A snapshot: all processes that a filter lets through, at one point of the stream.
 *
 * Idea: what is true is noted at once, which is quick; what of it is shown is found out piece by piece, as it is
 * asked for, so that others have their turn in between.
 */
import type { SnapshotPosition, WireProcess } from '@procbus/protocol';
import type { ProcessTable } from '../processes/process-table.ts';
import { packParts } from './parts.ts';
import type { Selection } from './selection.ts';
import { isOwn, type Standing } from './view.ts';

/** Processes of one part at most, so that the first is sent before the last is packed. */
const partLimit = 256;
/** No piece takes much longer than so many ms. */
const pieceTime = 5;

/** What was true, and when. */
export class Snapshot {
  readonly position: SnapshotPosition;
  /** What is shown of what is left. */
  selection: Selection;
  readonly #processes: readonly Standing[];

  /** Notes what is true now: what {@link SnapshotPosition} says is `now`. */
  constructor(table: ProcessTable, selection: Selection, ended: boolean, now: SnapshotPosition) {
    const all = [...table.living.values(), ...(ended ? table.endedBefore(now.kernelTime) : [])];
    this.position = now;
    this.selection = selection;
    this.#processes = all
      .map(({ portrait, parent, endTime, status }) => ({ portrait, parent, endTime, status }))
      .filter(({ portrait }) => isOwn(selection.lens, portrait));
  }

  /** How many processes there are to be looked at. */
  get size(): number {
    return this.#processes.length;
  }

  /** What is shown, piece by piece; a piece may be empty. */
  *pieces(): Generator<WireProcess[], void, undefined> {
    let piece: WireProcess[] = [];
    let end = performance.now() + pieceTime;
    for (const process of this.#processes) {
      const shown = this.selection.showProcess(process, this.position.kernelTime);
      if (shown !== undefined) piece.push(shown);
      if (piece.length < partLimit && performance.now() < end) continue;
      yield piece;
      piece = [];
      end = performance.now() + pieceTime;
    }
    yield piece;
  }
}

/** Packs processes part by part, each a packed array that one message can hold. */
export function* packSnapshot(processes: readonly WireProcess[]): Generator<Buffer, void, undefined> {
  for (let start = 0; start < processes.length; start += partLimit) {
    for (const { packed } of packParts(processes.slice(start, start + partLimit))) yield packed;
  }
}
