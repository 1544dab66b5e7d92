/*
 * A snapshot: the processes of the machine, all as they were at one point of the stream of events.
 */
import {
  formatCursor,
  processRecordFromWire,
  type Cursor,
  type ProcessRecord,
  type SnapshotPosition,
} from '@procbus/protocol';

/** The processes that a filter lets through, at one moment. */
export interface Snapshot {
  /** Where in the stream of events the snapshot is true: the helper's epoch, and a sequence number. */
  readonly cursor: string;
  /** Ordered by pid. */
  readonly processes: readonly ProcessRecord[];
}

/** How to list. */
export interface ListOptions {
  /** Whether to list processes too that have ended not long ago. */
  readonly ended?: boolean | undefined;
  /** Gives up: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads a snapshot from the parts it came in; they can be read only when its position is known.
 *
 * @throws ProcbusError `bad-message`
 */
export function readSnapshot(
  place: Cursor,
  { kernelTime, clockOffset }: SnapshotPosition,
  parts: readonly (readonly unknown[])[],
): Snapshot {
  const processes = parts
    .flat()
    .map((process) => processRecordFromWire(process, kernelTime, clockOffset))
    // A pid is given anew, so one that has ended may have the pid of one that lives.
    .toSorted((a, b) => a.pid - b.pid || (a.startTime < b.startTime ? -1 : 1));
  return { cursor: formatCursor(place), processes };
}
