/*
 * A portrait: a process as it was at one moment, with those above it. It never changes, so it can be kept
 * for as long as somebody may ask for that moment.
 */
import type { Detail, Subject } from '@procbus/protocol';
import type { Facts } from './process.ts';
import { userName } from './users.ts';

/** A link of the chain from a parent up to pid 1: what those below a process tell of it. */
export interface Link {
  readonly id: string;
  readonly pid: number;
  readonly comm: string;
  readonly detail: Detail;
  readonly uid: number;
  readonly begunBy: number | undefined;
  readonly up: Link | undefined;
}

export class Portrait implements Subject {
  readonly id: string;
  readonly pid: number;
  /** ns of CLOCK_MONOTONIC. */
  readonly startTime: bigint;
  readonly facts: Facts;
  /** Ids of the watched processes that it is or descends from. */
  readonly subtrees: ReadonlySet<string>;
  readonly parent: Link | undefined;

  constructor(
    { id, pid, startTime }: Pick<Portrait, 'id' | 'pid' | 'startTime'>,
    facts: Facts,
    subtrees: ReadonlySet<string>,
    parent: Link | undefined,
  ) {
    this.id = id;
    this.pid = pid;
    this.startTime = startTime;
    this.facts = facts;
    this.subtrees = subtrees;
    this.parent = parent;
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
    return this.id === id || this.subtrees.has(id);
  }

  /** Whether a process is above it: it began it, or has taken it in. */
  isBelow(id: string): boolean {
    let link = this.parent;
    while (link !== undefined && link.id !== id) link = link.up;
    return link !== undefined;
  }
}

/** The chain from the parent to pid 1, as far as it is known. */
export function ancestorsOf({ parent }: Portrait): Link[] {
  const chain: Link[] = [];
  for (let link = parent; link !== undefined && chain.length < chainLimit; link = link.up) chain.push(link);
  return chain;
}

/** So many ancestors are known at most. */
export const chainLimit = 64;
