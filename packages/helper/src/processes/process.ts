/*
 * A process as the helper knows it.
 *
 * Who it is (pid and start) never changes; what is known of it is a value that is replaced as a
 * whole, so that an event keeps the facts of its own moment.
 */
import type { Ancestor, Detail } from '@procbus/protocol';

/** What can change in the life of a process. Processes share it from fork to exec. */
export interface Facts {
  /** Empty where it is not known. */
  readonly comm: string;
  readonly exe?: string | undefined;
  readonly args?: readonly string[] | undefined;
  readonly argsTruncated?: true | undefined;
  readonly cwd?: string | undefined;
  readonly cgroup?: string | undefined;
  readonly container?: string | undefined;
  readonly uid: number;
  readonly euid: number;
  readonly gid: number;
  readonly egid: number;
  readonly sid: number;
  /** Device number of the controlling terminal; 0 for none. */
  readonly tty: number;
  /** How far the facts of its program could be read. */
  readonly detail: Detail;
}

/** A process from its birth, or from when the helper first met it, until it is forgotten. */
export interface Process {
  /** Pid and start: no other process of this run of the helper has the same. */
  readonly id: string;
  readonly pid: number;
  /** ns of CLOCK_MONOTONIC; for those that are older than the helper, exact to 10 ms. */
  readonly startTime: bigint;
  /** The process that forked it; undefined where that was before our time. */
  parent: Process | undefined;
  /** Its living children; they get another parent when it ends. */
  readonly children: Set<Process>;
  facts: Facts;
  /** ns of CLOCK_MONOTONIC; undefined while it lives. */
  endTime?: bigint;
  /** Its wait status, once it has ended; undefined where nobody saw it end. */
  status?: number;
}

/** The name of one process among all. */
export function processId(pid: number, startTime: bigint): string {
  return `${pid}.${startTime.toString(36)}`;
}

/** So many ancestors are told at most. */
const ancestorLimit = 64;

/** The chain from the parent to pid 1, as far as it is known. */
export function ancestorsOf(process: Process): Ancestor[] {
  const chain: Ancestor[] = [];
  let ancestor = process.parent;
  for (; ancestor !== undefined && chain.length < ancestorLimit; ancestor = ancestor.parent) {
    chain.push({ pid: ancestor.pid, comm: ancestor.facts.comm });
  }
  return chain;
}
