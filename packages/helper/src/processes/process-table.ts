/*
 * The process table: who every process of the machine is, kept by the events of the kernel.
 *
 * Idea: a fork inherits its parent's facts, an exec reads new ones from /proc, an exit closes the
 * record, which is kept for a while for those who ask late.
 * Invariants: a pid leads to the process that has it now and never to an earlier one; what is
 * forgotten leaves nothing behind.
 * Trade-off: facts that no event tells of, such as a cgroup that a process is moved to, are those of
 * its last exec.
 */
import type { KernelEvent } from '@procbus/protocol';
import { readImage, readProcess } from './facts.ts';
import { processId, type Facts, type Process } from './process.ts';
import { listPids, readStat } from './procfs.ts';

/** An event with the process it is about. */
export interface Told {
  readonly event: KernelEvent;
  readonly process: Process;
}

/** How long an ended process is remembered, in ns. */
const graceTime = 60_000_000_000n;
/** How many are remembered at most. */
const endedLimit = 10_000;

const unknownFacts: Facts = {
  comm: '',
  uid: 0,
  euid: 0,
  gid: 0,
  egid: 0,
  sid: 0,
  tty: 0,
  detail: 'gone',
};

export class ProcessTable {
  readonly #living = new Map<number, Process>();
  /** In the order they ended. */
  #ended: Process[] = [];

  /** How many processes live and how many are remembered. */
  get size(): { living: number; ended: number } {
    return { living: this.#living.size, ended: this.#ended.length };
  }

  /** The process that has a pid now. */
  get(pid: number): Process | undefined {
    return this.#living.get(pid);
  }

  /** Meets all processes that live already. Call it when events have begun to flow, so that none is missed. */
  scan(): void {
    for (const pid of listPids()) if (!this.#living.has(pid)) this.#meet(pid);
  }

  /**
   * Brings the table up to date, event by event, and says of each which process it is about. The
   * process is as it was at that moment only until the next event is taken.
   */
  *follow(events: readonly KernelEvent[]): Generator<Told, void, undefined> {
    const images = readImages(events);
    for (const event of events) yield { event, process: this.#apply(event, images.get(event)) };
  }

  #apply(event: KernelEvent, image: Partial<Facts> | undefined): Process {
    if (event.pid !== event.tid && event.type !== 'coredump') return this.#find(event);
    switch (event.type) {
      case 'fork':
        return this.#fork(event.pid, event.ppid, event.kernelTime);
      case 'exec':
        return this.#change(event, image ?? {});
      case 'exit':
        return this.#exit(event);
      case 'uid':
        return this.#change(event, { uid: event.uid, euid: event.euid });
      case 'gid':
        return this.#change(event, { gid: event.gid, egid: event.egid });
      case 'sid':
        return this.#change(event, { sid: event.pid, tty: 0 });
      case 'comm':
        return this.#change(event, { comm: event.comm });
      case 'ptrace':
      case 'coredump':
        return this.#find(event);
    }
  }

  #fork(pid: number, ppid: number, kernelTime: bigint): Process {
    const known = this.#living.get(pid);
    // The scan may have met it already: then it started when the event says, and not later.
    if (known !== undefined && known.startTime >= kernelTime - scanPrecision) return known;
    if (known !== undefined) this.#end(known, kernelTime);
    const parent = this.#living.get(ppid) ?? this.#meet(ppid);
    return this.#add(pid, kernelTime, parent, parent?.facts ?? unknownFacts);
  }

  #change(event: KernelEvent, changed: Partial<Facts>): Process {
    const process = this.#find(event);
    process.facts = { ...process.facts, ...changed };
    return process;
  }

  #exit(event: KernelEvent & { type: 'exit' }): Process {
    const process = this.#find(event);
    process.status = event.status;
    this.#end(process, event.kernelTime);
    return process;
  }

  /** The process of an event; one that is not known is met now, or is a stranger that has gone. */
  #find({ pid, kernelTime }: KernelEvent): Process {
    return this.#living.get(pid) ?? this.#meet(pid) ?? this.#add(pid, kernelTime, undefined, unknownFacts);
  }

  /** Takes a process in that began before our time, from /proc. */
  #meet(pid: number): Process | undefined {
    const found = readProcess(pid);
    if (found === undefined) return undefined;
    const process = this.#add(pid, found.startTime, undefined, found.facts);
    const parent = found.ppid === 0 ? undefined : (this.#living.get(found.ppid) ?? this.#meet(found.ppid));
    this.#adopt(process, parent);
    return process;
  }

  #add(pid: number, startTime: bigint, parent: Process | undefined, facts: Facts): Process {
    const id = processId(pid, startTime);
    const process: Process = { id, pid, startTime, parent: undefined, children: new Set(), facts };
    this.#adopt(process, parent);
    this.#living.set(pid, process);
    return process;
  }

  #adopt(process: Process, parent: Process | undefined): void {
    process.parent?.children.delete(process);
    process.parent = parent;
    parent?.children.add(process);
  }

  #end(process: Process, endTime: bigint): void {
    process.endTime = endTime;
    if (this.#living.get(process.pid) === process) this.#living.delete(process.pid);
    process.parent?.children.delete(process);
    // Whoever adopts its children, init or a subreaper, only the kernel knows.
    for (const child of process.children) {
      const ppid = readStat(child.pid)?.ppid ?? 1;
      this.#adopt(child, this.#living.get(ppid) ?? this.#living.get(1));
    }
    this.#ended.push(process);
    this.#forget(endTime);
  }

  /** Drops those that ended too long ago, a good many at a time. */
  #forget(now: bigint): void {
    if (this.#ended.length < 2 * endedLimit && this.#ended.length % 1024 !== 0) return;
    const keep = this.#ended.findIndex(({ endTime = 0n }) => endTime > now - graceTime);
    this.#ended = this.#ended.slice(Math.max(keep, this.#ended.length - endedLimit));
  }
}

/** /proc tells a start to 10 ms, and the clocks differ by a little. */
const scanPrecision = 20_000_000n;

/**
 * Reads the facts of programs that have just begun, the latest first: they are the most likely to be
 * still there. Where a process has begun another one since, the facts are those of the last.
 */
function readImages(events: readonly KernelEvent[]): Map<KernelEvent, Partial<Facts>> {
  const images = new Map<KernelEvent, Partial<Facts>>();
  const seen = new Set<number>();
  for (let index = events.length - 1; index >= 0; index--) {
    const event = events[index] as KernelEvent;
    if (event.type !== 'exec') continue;
    images.set(
      event,
      seen.has(event.pid) ? { exe: undefined, args: undefined, detail: 'gone' } : readImage(event.pid),
    );
    seen.add(event.pid);
  }
  return images;
}
