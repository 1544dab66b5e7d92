/*
 * The plain way to lay out an event: what EventWriter does by hand has to be what this gives, packed.
 */
import { pack, wireInteger } from '../src/codec.ts';
import { EventReader } from '../src/event-reader.ts';
import type { EventType, KernelEvent, ProcessEvent } from '../src/event.ts';
import type { Circumstances } from '../src/process.ts';

/** Reads events that are laid out as values. */
export function readerOf(wires: readonly unknown[], clockOffset = 0n): EventReader {
  return new EventReader(pack(wires), clockOffset);
}

/** Reads one event that is laid out as values. */
export function eventFromWire(wire: unknown, clockOffset: bigint): ProcessEvent | undefined {
  return readerOf([wire], clockOffset).next();
}

/** An event as it travels: `[type, seq, kernelTime, cpu, pid, tid, circumstances, …]`, see `docs/protocol.md`. */
export type WireEvent = readonly [
  type: EventType,
  seq: number | bigint,
  kernelTime: bigint,
  cpu: number,
  pid: number,
  tid: number,
  circumstances: Circumstances,
  ...(number | string | null)[],
];

/** Lays out one event for the wire. */
export function eventToWire(number: number, event: KernelEvent, circumstances: Circumstances): WireEvent {
  const { kernelTime, cpu, pid, tid } = event;
  const seq = wireInteger(number);
  const stamp = [event.type, seq, kernelTime, cpu, pid, tid, circumstances] as const;
  switch (event.type) {
    case 'fork':
      return [...stamp, event.ppid, event.ptid];
    case 'exec':
    case 'sid':
      return stamp;
    case 'exit':
      return [...stamp, event.status ?? null, event.ppid];
    case 'uid':
      return [...stamp, event.uid, event.euid];
    case 'gid':
      return [...stamp, event.gid, event.egid];
    case 'ptrace':
      return [...stamp, event.tracerPid, event.tracerTid];
    case 'comm':
      return [...stamp, event.comm];
    case 'coredump':
      return [...stamp, event.ppid];
  }
}

/** All elements of a message of events but the last, the list. */
export function eventsHead(subscription: number, seq: number, clockOffset: bigint): unknown[] {
  return ['events', subscription, wireInteger(seq), clockOffset];
}
