/*
 * A process in a snapshot, as its reader sees it.
 */
import { isMap } from './codec.ts';
import { ProcbusError } from './errors.ts';
import { isoTime, nanoseconds } from './event.ts';
import { processFromWire, type ProcessInfo, type ProcessNumbers } from './process.ts';
import { decodeWaitStatus, type UnknownStatus, type WaitStatus } from './wait-status.ts';

/** A process of a snapshot: one that lives, or one that has ended not long ago. */
export type ProcessRecord = ProcessInfo &
  ProcessNumbers &
  (WaitStatus | UnknownStatus) & {
    /** The controlling terminal, as in `pts/3`; left out where it has none. */
    readonly tty?: string;
    /** Wall-clock time, ISO 8601 in UTC with microseconds. */
    readonly startTime: string;
    /** Set where it has ended. */
    readonly endTime?: string;
    /** Seconds from its start to its end, or to the snapshot. */
    readonly runtime: number;
    /** The raw wait status, where it has ended and somebody saw it; see wait(2). */
    readonly status?: number;
  };

/**
 * Reads a process of a snapshot from the wire. Keys that are not known are ignored.
 *
 * @param kernelTime - ns of CLOCK_MONOTONIC at which the snapshot is true
 * @param clockOffset - ns to add for the time since 1970
 * @throws ProcbusError `bad-message`
 */
export function processRecordFromWire(
  fields: unknown,
  kernelTime: bigint,
  clockOffset: bigint,
): ProcessRecord {
  if (!isMap(fields)) throw malformed('that is no map');
  const startTime = nanoseconds(fields['startTime']);
  const endTime = fields['endTime'] === undefined ? undefined : nanoseconds(fields['endTime']);
  const status = fields['status'] === undefined ? undefined : integer(fields['status']);
  const tty = integer(fields['tty']);
  return {
    pid: integer(fields['pid']),
    ppid: integer(fields['ppid']),
    ...processFromWire(fields),
    uid: integer(fields['uid']),
    euid: integer(fields['euid']),
    gid: integer(fields['gid']),
    egid: integer(fields['egid']),
    sid: integer(fields['sid']),
    ...(tty === 0 ? {} : { tty: terminalName(tty) }),
    startTime: isoTime(startTime + clockOffset),
    ...(endTime === undefined ? {} : { endTime: isoTime(endTime + clockOffset) }),
    runtime: Number((endTime ?? kernelTime) - startTime) / 1e9,
    ...(status === undefined ? {} : { status, ...decodeWaitStatus(status) }),
  };
}

/** The name of a terminal by its device number, see proc_pid_stat(5) and the kernel's devices.txt. */
export function terminalName(device: number): string {
  const major = (device >> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  if (major >= 136 && major <= 143) return `pts/${(major - 136) * 2 ** 20 + minor}`;
  if (major === 4 && minor < 64) return `tty${minor}`;
  if (major === 4) return `ttyS${minor - 64}`;
  if (major === 5 && minor === 1) return 'console';
  return `${major}:${minor}`;
}

function integer(value: unknown): number {
  if (Number.isSafeInteger(value)) return value as number;
  throw malformed('with a field that is no integer');
}

function malformed(what: string): ProcbusError {
  return new ProcbusError('bad-message', `a snapshot has a process ${what}`);
}
