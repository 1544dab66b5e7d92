/*
 * What is known of a process, as it is told with an event and in a snapshot.
 */
import { isMap } from './codec.ts';
import { ProcbusError } from './errors.ts';

/**
 * How far /proc could be read in time: `complete` means program and arguments, `partial` one of them or
 * the name alone (the process ended meanwhile, or reading is forbidden), `gone` that nothing was left
 * to read; then the name is that of the program before, or of the parent.
 */
export type Detail = 'complete' | 'partial' | 'gone';

/** What a subscription can ask to be told of a process besides its name. */
export const includes = ['exe', 'args', 'cwd', 'cgroup', 'container', 'user', 'ancestors'] as const;

/** One of {@link includes}. */
export type Include = (typeof includes)[number];

/** An ancestor of a process. */
export interface Ancestor {
  readonly pid: number;
  readonly comm: string;
}

/**
 * A process at the moment of an event. All texts come from the process itself or its user, and must
 * not be trusted; bytes that are no UTF-8 have become U+FFFD.
 */
export interface ProcessInfo {
  /** Names this process and no other, as long as the helper runs: pids are given anew. */
  readonly id: string;
  /** Its name, at most 15 bytes; empty where it is not known. */
  readonly comm: string;
  /** Whether what is told of the program it runs was read in time. */
  readonly detail: Detail;
  /** Path of the program, with `include: ["exe"]`. */
  readonly exe?: string;
  /** Its arguments, the program's name first, with `include: ["args"]`; the first 4 KiB of them. */
  readonly args?: readonly string[];
  /** Set where there were more arguments than are told. */
  readonly argsTruncated?: true;
  /** Its working directory when it began to run the program, with `include: ["cwd"]`. */
  readonly cwd?: string;
  /** Path of its cgroup, with `include: ["cgroup"]`. */
  readonly cgroup?: string;
  /** Id of its container, with `include: ["container"]`, where it runs in one. */
  readonly container?: string;
  /** Name of its real user, with `include: ["user"]`, where that has one. */
  readonly user?: string;
  /** Parent, grandparent and so on to pid 1, with `include: ["ancestors"]`. */
  readonly ancestors?: readonly Ancestor[];
}

/** What an event says of a process besides the one it is about, and of its life. */
export interface Circumstances {
  readonly process: ProcessInfo;
  /** With a fork: the parent. */
  readonly parent?: ProcessInfo;
  /** With an exit: how long the process lived, in seconds. */
  readonly runtime?: number;
  /** Found in /proc after a loss, and not told by the kernel. */
  readonly synthetic?: true;
}

/** The numbers of a process in a snapshot. */
export interface ProcessNumbers {
  readonly pid: number;
  /** The parent; 0 for none. */
  readonly ppid: number;
  /** Real and effective user and group; -1 where they could not be read. */
  readonly uid: number;
  readonly euid: number;
  readonly gid: number;
  readonly egid: number;
  /** The session, see setsid(2). */
  readonly sid: number;
}

/** A process in a snapshot, as it travels. All that {@link ProcessInfo} has, of `cwd` and `ancestors` what was asked for. */
export interface WireProcess extends ProcessInfo, ProcessNumbers {
  /** Device number of the controlling terminal; 0 for none. */
  readonly tty: number;
  /** ns of CLOCK_MONOTONIC. */
  readonly startTime: bigint;
  /** ns of CLOCK_MONOTONIC; left out while it lives. */
  readonly endTime?: bigint;
  /** The wait status, where it has ended and somebody saw it. */
  readonly status?: number;
}

const textFields = ['exe', 'cwd', 'cgroup', 'container', 'user'] as const;

/**
 * Reads the circumstances of an event from the wire. Keys that are not known are ignored.
 *
 * @throws ProcbusError `bad-message`
 */
export function circumstancesFromWire(value: unknown): Circumstances {
  const { process, parent, runtime, synthetic } = map(value);
  return {
    process: processFromWire(map(process)),
    ...(parent === undefined ? {} : { parent: processFromWire(map(parent)) }),
    ...(typeof runtime === 'number' ? { runtime } : {}),
    ...(synthetic === true ? { synthetic } : {}),
  };
}

/** What all maps of processes have in common. */
export function processFromWire(fields: Readonly<Record<string, unknown>>): ProcessInfo {
  const { id, comm, detail, args, argsTruncated, ancestors } = fields;
  if (typeof id !== 'string' || typeof comm !== 'string') throw malformed('without id or comm');
  if (detail !== 'complete' && detail !== 'partial' && detail !== 'gone')
    throw malformed('of no known detail');
  const info: Record<string, unknown> = { id, comm, detail };
  for (const name of textFields) if (typeof fields[name] === 'string') info[name] = fields[name];
  if (Array.isArray(args)) info['args'] = args.map(argumentFromWire);
  if (argsTruncated === true) info['argsTruncated'] = true;
  if (Array.isArray(ancestors)) info['ancestors'] = ancestors.map(ancestorFromWire);
  return info as unknown as ProcessInfo;
}

function argumentFromWire(value: unknown): string {
  if (typeof value !== 'string') throw malformed('with an argument that is no string');
  return value;
}

function ancestorFromWire(value: unknown): Ancestor {
  const { pid, comm } = map(value);
  if (typeof pid !== 'number' || typeof comm !== 'string') throw malformed('with an ancestor without a name');
  return { pid, comm };
}

function map(value: unknown): Record<string, unknown> {
  if (isMap(value)) return value;
  throw malformed('that is no map');
}

function malformed(what: string): ProcbusError {
  return new ProcbusError('bad-message', `a process is told ${what}`);
}
