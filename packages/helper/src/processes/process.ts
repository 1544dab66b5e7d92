/*
 * A process as the helper knows it.
 *
 * Who it is (pid and start) never changes; what is known of it is a value that is replaced as a
 * whole, so that an event keeps the facts of its own moment.
 */
import type { Ancestor, Detail, Subject } from '@procbus/protocol';
import type { Ids } from './procfs.ts';
import { userName } from './users.ts';

/** What an exec changes. */
export interface Image {
  /** Empty where it is not known. */
  readonly comm: string;
  readonly exe?: string | undefined;
  readonly args?: readonly string[] | undefined;
  readonly argsTruncated?: true | undefined;
  readonly cwd?: string | undefined;
  readonly cgroup?: string | undefined;
  readonly container?: string | undefined;
  /** How far all this could be read. */
  readonly detail: Detail;
}

/** What can change in the life of a process. Processes share it from fork to exec. */
export interface Facts extends Image, Ids {
  readonly sid: number;
  /** Device number of the controlling terminal; 0 for none. */
  readonly tty: number;
}

const noSubtrees: ReadonlySet<string> = new Set();

/** A process from its birth, or from when the helper first met it, until it is forgotten. */
export class Process implements Subject {
  /** Pid and start: no other process of this run of the helper has the same. */
  readonly id: string;
  readonly pid: number;
  /** ns of CLOCK_MONOTONIC; for those that are older than the helper, exact to 10 ms. */
  readonly startTime: bigint;
  facts: Facts;
  /** The parent as it is now; children get another one when theirs ends. */
  parent: Process | undefined;
  readonly children: Set<Process> = new Set();
  /** Ids of the watched processes that it is or descends from, by fork; passed on to its children as it is. */
  subtrees: ReadonlySet<string> = noSubtrees;
  /** ns of CLOCK_MONOTONIC; undefined while it lives. */
  endTime: bigint | undefined;
  /** Its wait status, once it has ended; undefined where nobody saw it end. */
  status: number | undefined;

  constructor(pid: number, startTime: bigint, facts: Facts) {
    this.id = `${pid}.${startTime.toString(36)}`;
    this.pid = pid;
    this.startTime = startTime;
    this.facts = facts;
  }

  /** Makes it a child of another one, and no longer of the one before. */
  adoptBy(parent: Process | undefined): void {
    this.parent?.children.delete(this);
    this.parent = parent;
    parent?.children.add(this);
  }

  /** Seconds from its start to some time in its life. */
  age(kernelTime: bigint): number {
    return Math.max(0, Number(kernelTime - this.startTime) / 1e9);
  }

  get comm(): string {
    return this.facts.comm;
  }

  get exe(): string | undefined {
    return this.facts.exe;
  }

  get args(): readonly string[] | undefined {
    return this.facts.args;
  }

  get cgroup(): string | undefined {
    return this.facts.cgroup;
  }

  get container(): string | undefined {
    return this.facts.container;
  }

  get uid(): number {
    return this.facts.uid;
  }

  get user(): string | undefined {
    return userName(this.facts.uid);
  }

  isWithin(id: string): boolean {
    if (this.subtrees.has(id)) return true;
    // It may have ended before anybody watched; then those above it have been marked without it.
    if (this.endTime === undefined) return false;
    let ancestor = this.parent;
    while (ancestor !== undefined && !ancestor.subtrees.has(id)) ancestor = ancestor.parent;
    return ancestor !== undefined;
  }

  /** The chain from the parent to pid 1, as far as it is known. */
  get ancestors(): Ancestor[] {
    const chain: Ancestor[] = [];
    let ancestor = this.parent;
    for (; ancestor !== undefined && chain.length < ancestorLimit; ancestor = ancestor.parent) {
      chain.push({ pid: ancestor.pid, comm: ancestor.comm });
    }
    return chain;
  }
}

/** So many ancestors are told at most. */
const ancestorLimit = 64;
