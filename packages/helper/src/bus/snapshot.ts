/*
 * A snapshot: all processes that a filter lets through, at one point of the stream.
 */
import type { SnapshotPosition, WireProcess } from '@procbus/protocol';
import type { ProcessTable } from '../processes/process-table.ts';
import { packParts } from './parts.ts';
import type { Selection } from './selection.ts';

/** What was true, and when. */
export interface Snapshot extends SnapshotPosition {
  readonly processes: readonly WireProcess[];
  /** How many processes were looked at. */
  readonly work: number;
}

/** Processes of one part at most, so that the first is sent before the last is packed. */
const partLimit = 256;

/** Takes what is true now: what {@link SnapshotPosition} says is `now`. */
export function takeSnapshot(
  table: ProcessTable,
  selection: Selection,
  ended: boolean,
  now: SnapshotPosition,
): Snapshot {
  const { kernelTime } = now;
  const candidates = [...table.living.values(), ...(ended ? table.endedBefore(kernelTime) : [])];
  const processes = candidates
    .map((process) => selection.showProcess(process, kernelTime))
    .filter((shown) => shown !== undefined);
  return { ...now, processes, work: candidates.length };
}

/** Packs a snapshot part by part, each a packed array that one message can hold. */
export function* packSnapshot(processes: readonly WireProcess[]): Generator<Buffer, void, undefined> {
  for (let start = 0; start < processes.length; start += partLimit) {
    for (const { packed } of packParts(processes.slice(start, start + partLimit))) yield packed;
  }
}
