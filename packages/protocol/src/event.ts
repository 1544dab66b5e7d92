/*
 * Events: what the kernel told, and what a subscriber is told of it.
 *
 * Names are those people use, not the kernel's: `pid` is the process (the kernel's tgid) and `tid`
 * the thread (the kernel's pid), so the main thread's event has `tid === pid`.
 */
import { ProcbusError } from './errors.ts';
import type { Circumstances, ProcessInfo } from './process.ts';
import type { UnknownStatus, WaitStatus } from './wait-status.ts';

/** What every event of a process carries. */
export interface EventStamp {
  /** Position in the helper's stream; counted before any filter, so a filter leaves gaps. */
  readonly seq: number;
  /** Wall-clock time, ISO 8601 in UTC with microseconds. */
  readonly time: string;
  /** CLOCK_MONOTONIC in nanoseconds, exact, as a decimal string: `BigInt(event.kernelTime)`. */
  readonly kernelTime: string;
  /** The CPU that the event happened on. */
  readonly cpu: number;
  readonly pid: number;
  readonly tid: number;
  /** The process, at the moment of the event; with an exit, what it was. */
  readonly process: ProcessInfo;
  /**
   * Set where the kernel's own event did not reach the helper, mostly as it was lost, and the helper found
   * out what had happened: a fork, an exec or an exit. Then the time is that of the finding, and the CPU -1.
   */
  readonly synthetic?: true;
}

/** A process (`tid === pid`) or a thread was created; `pid` and `tid` are the new one's. */
export interface ForkEvent extends EventStamp {
  readonly type: 'fork';
  /** The parent. For a thread the kernel names the parent of its process, not its creator. */
  readonly ppid: number;
  readonly ptid: number;
  /** The parent, where it is known. */
  readonly parent?: ProcessInfo;
}

/** A process called execve(2) with success. */
export interface ExecEvent extends EventStamp {
  readonly type: 'exec';
}

/** A process (`tid === pid`) or a thread ended. */
export type ExitEvent = EventStamp &
  (WaitStatus | UnknownStatus) & {
    readonly type: 'exit';
    /** The raw wait status, see wait(2); left out of synthetic exits, as nobody saw it. */
    readonly status?: number;
    /** The parent; 0 for threads, and for whatever is reaped before the kernel tells of it: see `docs/protocol.md`. */
    readonly ppid: number;
    /** How long the process lived, in seconds; not told of threads. */
    readonly runtime?: number;
  };

/** The real or effective user changed; ids are those of the initial user namespace. */
export interface UidEvent extends EventStamp {
  readonly type: 'uid';
  readonly uid: number;
  readonly euid: number;
}

/** The real or effective group changed. */
export interface GidEvent extends EventStamp {
  readonly type: 'gid';
  readonly gid: number;
  readonly egid: number;
}

/** A process made a new session, see setsid(2); the session's id is its pid. */
export interface SidEvent extends EventStamp {
  readonly type: 'sid';
}

/** A tracer attached, or let go: then both tracer ids are 0. */
export interface PtraceEvent extends EventStamp {
  readonly type: 'ptrace';
  readonly tracerPid: number;
  readonly tracerTid: number;
}

/** The name of a process or thread changed; at most 15 bytes, not to be trusted. */
export interface CommEvent extends EventStamp {
  readonly type: 'comm';
  readonly comm: string;
}

/** A process is about to dump core; `tid` is the thread at fault. */
export interface CoredumpEvent extends EventStamp {
  readonly type: 'coredump';
  readonly ppid: number;
}

/**
 * Where events were lost: in the kernel's queue to the helper; in the queue to this subscriber; or in the
 * journal, which no longer held, or never had, what a subscription was to begin with.
 */
export const lostPlaces = ['kernel', 'queue', 'journal'] as const;

/** One of {@link lostPlaces}. */
export type LostWhere = (typeof lostPlaces)[number];

/** A hole in the stream, told in its place. */
export interface LostEvent {
  readonly type: 'lost';
  /** Equal to `to`: the next event's `seq` is greater. */
  readonly seq: number;
  /** When the loss was noticed. */
  readonly time: string;
  readonly kernelTime: string;
  readonly where: LostWhere;
  /**
   * How many events were lost. Exact for `queue`. For `kernel` and `journal` it counts what there was for
   * all subscribers, so it is the most that this one can have missed; it is 0 where nobody knows how many,
   * and where it would tell of other users' processes.
   */
  readonly count: number;
  /** The first and the last sequence number of the hole. */
  readonly from: number;
  readonly to: number;
}

/** An event of a process, told apart by `type`. */
export type ProcessEvent =
  | ForkEvent
  | ExecEvent
  | ExitEvent
  | UidEvent
  | GidEvent
  | SidEvent
  | PtraceEvent
  | CommEvent
  | CoredumpEvent;

/** All that a subscription can yield. `JSON.stringify` of it is what `procbus watch --json` prints. */
export type StreamEvent = ProcessEvent | LostEvent;

/** The types of events of processes, in the order the documentation lists them. */
export const eventTypes = [
  'fork',
  'exec',
  'exit',
  'uid',
  'gid',
  'sid',
  'ptrace',
  'comm',
  'coredump',
] as const;

/** A type of event that can be subscribed to. `lost` cannot be refused. */
export type EventType = (typeof eventTypes)[number];

type Untold<E> = E extends EventStamp
  ? Omit<E, 'seq' | 'time' | 'kernelTime' | keyof WaitStatus | keyof Circumstances> & {
      readonly kernelTime: bigint;
      readonly synthetic?: true;
    }
  : never;

/** An event as the kernel told it: not yet numbered, its time still a number. */
export type KernelEvent = Untold<ProcessEvent>;

/** ISO 8601 in UTC with microseconds, for nanoseconds since 1970; what is below them is cut off. */
export function isoTime(ns: bigint): string {
  const microseconds = ns / 1000n;
  const rest = String(microseconds % 1000n).padStart(3, '0');
  return new Date(Number(microseconds / 1000n)).toISOString().replace('Z', `${rest}Z`);
}

/**
 * A 64-bit time from the wire, whatever size of integer it came as.
 *
 * @throws ProcbusError `bad-message`
 */
export function nanoseconds(value: unknown): bigint {
  if (typeof value === 'bigint') return value;
  // 2^53 itself is exact, and comes as a number.
  if (Number.isInteger(value) && Math.abs(value as number) <= 2 ** 53) return BigInt(value as number);
  throw new ProcbusError('bad-message', 'a message is malformed: a time that is no integer');
}
