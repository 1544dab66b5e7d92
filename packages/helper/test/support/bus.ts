/*
 * A bus without a kernel: a process table over a /proc that the test makes up, and batches that it
 * publishes.
 */
import { fullGrant, type EventType, type KernelEvent } from '@procbus/protocol';
import { Broadcast, type BroadcastOptions } from '../../src/bus/broadcast.ts';
import type { Asker } from '../../src/bus/selection.ts';
import type { Batch } from '../../src/kernel/kernel-stream.ts';
import type { Interest } from '../../src/kernel/socket-filter.ts';
import type { Facts } from '../../src/processes/process.ts';
import { ProcessTable, type Proc } from '../../src/processes/process-table.ts';

/** Somebody who may see all. */
export const root: Asker = { uid: 0, grant: fullGrant };

/** A process table of a machine without processes, except for what the test makes up. */
export function tableOf(proc: Partial<Proc> = {}): ProcessTable {
  return new ProcessTable({
    listPids: () => [],
    readProcess: () => undefined,
    parentOf: () => undefined,
    isHidden: () => false,
    imageOf: () => ({ comm: '', detail: 'gone' }),
    ...proc,
  });
}

export interface Bus {
  readonly broadcast: Broadcast;
  readonly table: ProcessTable;
  /** What the kernel was asked for, each time that this may have changed. */
  readonly interests: Interest[];
  /**
   * Publishes events of the kernel, and how many it dropped behind them. Where an event is the first of its
   * process, that one has begun in time, and nobody is told.
   */
  readonly publish: (events: readonly KernelEvent[], lost?: Batch['lost']) => void;
}

/**
 * Makes a bus, whose groups end with their last subscriber.
 *
 * @param waiting - taken and published when the bus catches up with the kernel
 */
export function makeBus(
  proc: Partial<Proc> = {},
  waiting: KernelEvent[] = [],
  options: BroadcastOptions = {},
): Bus {
  const table = tableOf(proc);
  const interests: Interest[] = [];
  const source = {
    table,
    setInterest: (interest: Interest) => interests.push(interest),
    catchUp: () => {
      if (waiting.length > 0) publish(waiting.splice(0));
    },
  };
  const broadcast = new Broadcast(source, { linger: 0, ...options });
  const publish: Bus['publish'] = (events, lost = 0) => {
    introduce(table, events);
    broadcast.publish({ ...batchOf(lost), events: table.follow(events, lost !== 0) });
  };
  return { broadcast, table, interests, publish };
}

/** Makes known, without telling anybody, all processes that events are about and that none of them begins. */
export function introduce(table: ProcessTable, events: readonly KernelEvent[]): void {
  const begun = new Set(table.living.keys());
  for (const event of events) {
    const { pid, kernelTime } = event;
    if (!begun.has(pid) && event.type !== 'fork') follow(table, forkOf(pid, 0, kernelTime));
    begun.add(pid);
  }
}

/** Brings a table up to date. */
export function follow(table: ProcessTable, ...events: KernelEvent[]): void {
  for (const told of table.follow(events)) void told;
}

/** All of a batch but its events. */
export function batchOf(lost: Batch['lost'] = 0): Omit<Batch, 'events'> {
  return { lost, kernelTime: 5n, clockOffset: 2n ** 60n };
}

/** An event without fields of its own. */
export function eventOf(
  type: Extract<EventType, 'exec' | 'sid'>,
  pid: number,
  tid: number = pid,
): KernelEvent {
  return { type, kernelTime: 2n ** 60n + BigInt(pid), cpu: 0, pid, tid };
}

/** A process that begins. */
export function forkOf(pid: number, ppid: number, kernelTime: bigint = 2n ** 60n + BigInt(pid)): KernelEvent {
  return { type: 'fork', kernelTime, cpu: 0, pid, tid: pid, ppid, ptid: ppid };
}

/** A process that ends. */
export function exitOf(pid: number, kernelTime: bigint, status = 0): KernelEvent {
  return { type: 'exit', kernelTime, cpu: 0, pid, tid: pid, status, ppid: 0 };
}

/** `count` processes that run a program. */
export function execs(count: number): KernelEvent[] {
  return Array.from({ length: count }, (_, index) => eventOf('exec', index + 1));
}

/** What is told of a process that nobody knew before an event at a time, where nothing is included. */
export function unknownProcess(pid: number, kernelTime: bigint): object {
  return { id: `${pid}.${kernelTime.toString(36)}`, comm: '', detail: 'gone' };
}

/** The facts of a process of which nothing matters but that /proc has them. */
export const plainFacts: Facts = {
  comm: 'x',
  detail: 'complete',
  uid: 0,
  euid: 0,
  gid: 0,
  egid: 0,
  sid: 0,
  tty: 0,
};
