/*
 * A snapshot: the processes of the machine, all as they were at one point of the stream of events.
 */
import { processRecordFromWire, type ProcessRecord, type SnapshotPosition } from '@procbus/protocol';
import type { Watch, WatchOptions } from './watch.ts';

/** The processes that a filter lets through, at one moment. */
export interface Snapshot {
  /** Where in the stream of events the snapshot is true: the helper's epoch, and a sequence number. */
  readonly cursor: string;
  /** Ordered by pid. */
  readonly processes: readonly ProcessRecord[];
}

/** A snapshot, and all that happens from then on. */
export interface SnapshotAndEvents extends Snapshot {
  readonly events: Watch;
}

/** How to list. */
export interface ListOptions {
  /** Whether to list processes too that have ended not long ago. */
  readonly ended?: boolean | undefined;
  /** Gives up: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What to list and to watch, and how; the signal ends the watch, too. */
export interface ListAndWatchOptions extends WatchOptions, Pick<ListOptions, 'ended'> {}

/**
 * Reads a snapshot from the parts it came in; they can be read only when its position is known.
 *
 * @throws ProcbusError `bad-message`
 */
export function readSnapshot(
  epoch: string,
  { seq, kernelTime, clockOffset }: SnapshotPosition,
  parts: readonly (readonly unknown[])[],
): Snapshot {
  const processes = parts
    .flat()
    .map((process) => processRecordFromWire(process, kernelTime, clockOffset))
    // A pid is given anew, so one that has ended may have the pid of one that lives.
    .toSorted((a, b) => a.pid - b.pid || (a.startTime < b.startTime ? -1 : 1));
  return { cursor: `${epoch}:${seq}`, processes };
}
