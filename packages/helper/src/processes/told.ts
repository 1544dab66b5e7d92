/*
 * What is told of processes: events with the process they are about. Most come from the kernel; those
 * that it has lost are made up of what /proc shows, and are marked as synthetic.
 */
import type { KernelEvent } from '@procbus/protocol';
import { monotonicTime } from '../libc.ts';
import type { Portrait } from './portrait.ts';
import type { Process } from './process.ts';

/** An event with its process as it was then. */
export interface Told {
  readonly event: KernelEvent;
  readonly process: Portrait;
  /** With a `uid` event: the real user before. */
  readonly formerUid?: number | undefined;
}

/** The fork that nobody told of, of a process that was found. */
export function beginningOf(process: Process): Told {
  const ppid = process.parent?.pid ?? 0;
  return {
    event: { type: 'fork', ...stampOf(process, monotonicTime()), ppid, ptid: ppid },
    process: process.portrait,
  };
}

/** The exec that nobody told of, of a process that runs another program than it did. */
export function changeOf(process: Process): Told {
  return { event: { type: 'exec', ...stampOf(process, monotonicTime()) }, process: process.portrait };
}

/** The exit that nobody told of, of a process that is gone. */
export function endOf(process: Process, kernelTime: bigint): Told {
  const ppid = process.parent?.pid ?? 0;
  return { event: { type: 'exit', ...stampOf(process, kernelTime), ppid }, process: process.portrait };
}

function stampOf(
  { pid }: Process,
  kernelTime: bigint,
): Pick<KernelEvent, 'kernelTime' | 'cpu' | 'pid' | 'tid'> & { synthetic: true } {
  return { kernelTime, cpu: -1, pid, tid: pid, synthetic: true };
}
