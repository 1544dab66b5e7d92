/*
 * The process table: who every process of the machine is, kept by the events of the kernel.
 *
 * Idea: a fork inherits its parent's facts, an exec brings new ones from /proc, an exit closes the
 * record, which is kept for a while for those who ask late.
 * Invariants: a pid leads to the process that has it now and never to an earlier one; what is
 * forgotten leaves nothing behind.
 * Trade-off: facts that no event tells of, such as a cgroup that a process is moved to, are those of
 * its last exec.
 */
import type { KernelEvent } from '@procbus/protocol';
import { startPrecision, type FoundProcess } from './facts.ts';
import { Process, type Facts, type Image } from './process.ts';
import { begun, inherited, renamed } from './program.ts';
import { Subtrees } from './subtrees.ts';
import { beginningOf, endOf, type Told } from './told.ts';

/** How long an ended process is remembered, in ns. */
const graceTime = 60_000_000_000n;
/** How many are remembered at most. */
const endedLimit = 10_000;

const none: readonly Told[] = [];

/** Of a process that had gone before we heard of it; no user has the id -1. */
const unknownFacts: Facts = {
  comm: '',
  uid: -1,
  euid: -1,
  gid: -1,
  egid: -1,
  sid: 0,
  tty: 0,
  detail: 'gone',
};

/** What the table wants to know of /proc. */
export interface Proc {
  /** All processes. */
  listPids(): number[];
  /** All of a process; undefined where it is gone. */
  readProcess(pid: number): FoundProcess | undefined;
  /** The parent of a process; undefined where it is gone. */
  parentOf(pid: number): number | undefined;
  /** Whether there is a process that we may not see (`hidepid`). */
  isHidden(pid: number): boolean;
  /** The program that a process began with an exec. */
  imageOf(exec: KernelEvent): Image;
}

export class ProcessTable {
  /** The subtrees that somebody watches. */
  readonly subtrees: Subtrees = new Subtrees();
  readonly #proc: Proc;
  readonly #living = new Map<number, Process>();
  /** In the order they ended. */
  #ended: Process[] = [];

  constructor(proc: Proc) {
    this.#proc = proc;
  }

  /** How many processes live and how many are remembered. */
  get size(): { living: number; ended: number } {
    return { living: this.#living.size, ended: this.#ended.length };
  }

  /** The process that has a pid now, met now if need be. */
  get(pid: number): Process | undefined {
    if (!this.#living.has(pid)) this.meet(pid);
    return this.#living.get(pid);
  }

  /** The process that had a pid last, of those that have ended and are remembered. */
  endedWithPid(pid: number): Process | undefined {
    return this.#ended.findLast((ended) => ended.pid === pid);
  }

  /** The process of an id, also one that has ended and is remembered. */
  find(id: string): Process | undefined {
    const process = this.#living.get(Number.parseInt(id, 10));
    return process?.id === id ? process : this.#ended.findLast((ended) => ended.id === id);
  }

  /** All that live, and those that are remembered. */
  *all(): Generator<Process, void, undefined> {
    yield* this.#living.values();
    yield* this.#ended;
  }

  /** Watches subtrees by the ids of their roots; returns what ends that. See {@link Subtrees.watch}. */
  watchSubtrees(ids: readonly string[]): () => void {
    const ends = ids.map((id) => this.subtrees.watch(id, this.find(id)));
    return () => {
      for (const end of ends) end(this.all());
    };
  }

  /** All that live. */
  get living(): ReadonlyMap<number, Process> {
    return this.#living;
  }

  /** Those that have ended not long before a time, in ns of CLOCK_MONOTONIC. */
  endedBefore(kernelTime: bigint): Process[] {
    const since = kernelTime - graceTime;
    return this.#ended.slice(-endedLimit).filter(({ endTime = 0n }) => endTime > since);
  }

  /**
   * Meets all processes that live already. Call it when events have begun to flow, so that none is missed.
   *
   * @param by - only those that had begun by then, in ns of CLOCK_MONOTONIC
   */
  scan(by?: bigint): void {
    for (const pid of this.#proc.listPids()) {
      if (this.#living.has(pid)) continue;
      if (by === undefined) this.meet(pid);
      else this.#meetBy(by, pid);
    }
  }

  /**
   * Brings the table up to date, event by event, and says of each which process it is about. Where
   * events were lost, what must have happened before is told as synthetic events in between.
   *
   * @param isLossy - whether some were lost before some of these
   */
  *follow(events: Iterable<KernelEvent>, isLossy = false): Generator<Told, void, undefined> {
    if (isLossy) for (const process of this.#living.values()) process.isInDoubt = true;
    for (const event of events) {
      const missed = this.#missed(event);
      if (missed.length > 0) yield* missed;
      const formerUid = event.type === 'uid' ? this.#lastOf(event.pid)?.facts.uid : undefined;
      yield { event, process: this.#apply(event).portrait, formerUid };
    }
  }

  /** What nobody told, and has to have happened before an event. */
  #missed(event: KernelEvent): readonly Told[] {
    const { pid, tid, kernelTime } = event;
    if (event.type === 'fork' && pid === tid) return this.#missedByFork(pid, event.ppid, kernelTime);
    if (this.#living.has(pid)) return none;
    const met = this.#meetBy(kernelTime, pid);
    if (met.length > 0) return met.map(beginningOf);
    if (pid !== tid && this.#lastOf(pid) !== undefined) return none;
    return [beginningOf(this.#add(pid, kernelTime, undefined, unknownFacts))];
  }

  /** Who had the pid before has to have ended, and the parent has to have begun. */
  #missedByFork(pid: number, ppid: number, kernelTime: bigint): readonly Told[] {
    const told = this.#living.has(ppid) ? none : this.#meetBy(kernelTime, ppid).map(beginningOf);
    const last = this.#living.get(pid);
    if (last === undefined || startedBy(last, kernelTime)) return told;
    this.end(last, kernelTime);
    return [...told, endOf(last, kernelTime)];
  }

  /** Meets a process that lived at a time already; one that began later only has the same pid. */
  #meetBy(time: bigint, pid: number): Process[] {
    return this.meet(pid, (one) => {
      const found = this.#proc.readProcess(one);
      return found !== undefined && found.startTime <= time + startPrecision ? found : undefined;
    });
  }

  #apply(event: KernelEvent): Process {
    if (event.type === 'comm') return this.#change(event, (process) => renamed(process, event));
    // Only what happens to the first thread happens to the process.
    if (event.pid !== event.tid) return this.#find(event);
    switch (event.type) {
      case 'fork':
        return this.#fork(event.pid, event.ppid, event.kernelTime);
      case 'exec':
        return this.#change(event, (process) => begun(process, event, this.#proc.imageOf(event)));
      case 'exit':
        return this.#exit(event);
      case 'uid':
        return this.#change(event, ({ facts }) => ({ ...facts, uid: event.uid, euid: event.euid }));
      case 'gid':
        return this.#change(event, ({ facts }) => ({ ...facts, gid: event.gid, egid: event.egid }));
      case 'sid':
        return this.#change(event, ({ facts }) => ({ ...facts, sid: event.pid, tty: 0 }));
      case 'ptrace':
      case 'coredump':
        return this.#find(event);
    }
  }

  #fork(pid: number, ppid: number, kernelTime: bigint): Process {
    // The scan may have met it already.
    const known = this.#living.get(pid);
    if (known !== undefined) return known;
    const parent = this.#lastOf(ppid);
    const facts = parent === undefined ? unknownFacts : inherited(parent, kernelTime);
    const process = this.#add(pid, kernelTime, parent, facts);
    process.isInDoubt = parent?.isInDoubt ?? false;
    if (parent?.endTime !== undefined) this.#orphan(process);
    return process;
  }

  #change(event: KernelEvent, changed: (process: Process) => Facts): Process {
    const process = this.#find(event);
    process.facts = changed(process);
    return process;
  }

  #exit(event: KernelEvent & { type: 'exit' }): Process {
    const process = this.#find(event);
    process.status = event.status;
    this.end(process, event.kernelTime);
    return process;
  }

  #find({ pid }: KernelEvent): Process {
    return this.#lastOf(pid) as Process;
  }

  /** Who has a pid, or had it last: threads may be told of after the exit of their process. */
  #lastOf(pid: number): Process | undefined {
    return this.#living.get(pid) ?? this.endedWithPid(pid);
  }

  /**
   * Takes in a process that began without our knowing, from /proc, and its parents where they are
   * not known either.
   *
   * @param read - what /proc says of a process, or said a moment ago
   * @returns those that are new, parents first; none where the process is gone
   */
  meet(pid: number, read: Proc['readProcess'] = (one) => this.#proc.readProcess(one)): Process[] {
    const found = read(pid);
    if (found === undefined) return [];
    const process = this.#add(pid, found.startTime, undefined, found.facts);
    process.readAt = found.readAt;
    // Only now that this one is known, as a pid given anew might otherwise lead round in a circle.
    const parents = found.ppid === 0 || this.#living.has(found.ppid) ? [] : this.meet(found.ppid, read);
    if (!this.adopt(process, found.ppid) && found.ppid !== 0) this.#orphan(process);
    process.subtrees = process.parent?.subtrees ?? process.subtrees;
    return [...parents, process];
  }

  /** Closes the record of a process. */
  end(process: Process, endTime: bigint): void {
    process.endTime = endTime;
    if (this.#living.get(process.pid) === process) this.#living.delete(process.pid);
    process.leaveParent();
    for (const child of process.children) this.#orphan(child);
    this.#ended.push(process);
    this.#forget(endTime);
  }

  /** Gives a child whose parent has ended another one: init or a subreaper, only the kernel knows. */
  #orphan(child: Process): void {
    const ppid = this.#proc.parentOf(child.pid) ?? 1;
    if (!this.adopt(child, ppid)) child.adoptBy(this.#living.get(1));
  }

  /**
   * Makes a process the child of the one that has a pid now.
   *
   * @returns whether it is; not of one that is younger, or its own descendant: that only has the pid of the parent
   */
  adopt(child: Process, ppid: number): boolean {
    const parent = this.#living.get(ppid);
    if (parent === undefined || parent.startTime > child.startTime + startPrecision) return false;
    for (let above: Process | undefined = parent; above !== undefined; above = above.parent) {
      if (above === child) return false;
    }
    child.adoptBy(parent);
    return true;
  }

  #add(pid: number, startTime: bigint, parent: Process | undefined, facts: Facts): Process {
    const process = new Process(pid, startTime, facts);
    process.adoptBy(parent);
    process.subtrees = parent?.subtrees ?? process.subtrees;
    this.#living.set(pid, process);
    return process;
  }

  /** Drops those that ended too long ago, a good many at a time. */
  #forget(now: bigint): void {
    const { length } = this.#ended;
    if (length < 2 * endedLimit && length % 1024 !== 0) return;
    const since = now - graceTime;
    const kept = this.#ended.findIndex(({ endTime = 0n }) => endTime > since);
    if (kept === 0 && length < 2 * endedLimit) return;
    this.#ended = kept < 0 ? [] : this.#ended.slice(Math.max(kept, length - endedLimit));
  }
}

/** Whether a process that began at a time is this one, and not one that had the pid before. */
function startedBy({ startTime }: Process, kernelTime: bigint): boolean {
  return startTime >= kernelTime - startPrecision;
}
