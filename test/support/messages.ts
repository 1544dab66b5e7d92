/*
 * What a helper says, as tests make it up: execs of pid 7, and snapshots.
 */
import { helperMessage, type WireProcess } from '@procbus/protocol';
import { eventsHead } from '../../packages/protocol/test/wire-event.ts';

/** A process of a snapshot. */
export function processOf(pid: number, fields: Partial<WireProcess> = {}): WireProcess {
  return {
    id: `${pid}.a`,
    pid,
    ppid: 1,
    comm: `comm${pid}`,
    detail: 'complete',
    uid: 0,
    euid: 0,
    gid: 0,
    egid: 0,
    sid: 1,
    tty: 0,
    startTime: BigInt(pid) * 1_000_000_000n,
    ...fields,
  };
}

/** A part of a snapshot. */
export function part(request: number, ...processes: WireProcess[]): unknown[] {
  return [...helperMessage.processesHead(request), processes];
}

const position = { clockOffset: 1_763_824_642_000_000_000n, kernelTime: 100_000_000_000n };

/** The result of a snapshot, behind its parts. */
export function listed(request: number, seq = 40): unknown[] {
  return helperMessage.result(request, helperMessage.snapshotPosition({ ...position, seq }));
}

const about = { process: { id: '7.a', comm: 'sh', detail: 'complete' } };

/** Events of some numbers; the stream has been looked through up to the last of them. */
export function told(subscription: number, ...numbers: number[]): unknown[] {
  return [
    ...eventsHead(subscription, numbers.at(-1) ?? 0, 0n),
    numbers.map((seq) => ['exec', seq, BigInt(seq), 0, 7, 7, about]),
  ];
}

/** The same without events. */
export function heartbeat(subscription: number, seq: number): unknown[] {
  return [...eventsHead(subscription, seq, 0n), []];
}
