/*
 * The processes of the machine as /proc tells them, read without a line of procbus.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Bus } from '@procbus/client';

/** A process that lives: no zombie, unless its main thread alone has ended. */
export interface Living {
  readonly pid: number;
  readonly ppid: number;
  /** Undefined for a thread of the kernel, which gets another name with each job that it does. */
  readonly comm: string | undefined;
  /** ms since 1970, exact to 10 ms or so. */
  readonly startTime: number;
}

const PF_KTHREAD = 0x0020_0000;

/** All processes, by pid. */
export function livingProcesses(): Map<number, Living> {
  const bootTime = Date.now() - Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
  const living = new Map<number, Living>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const process = readLiving(Number(name), bootTime);
    if (process !== undefined) living.set(process.pid, process);
  }
  return living;
}

function readLiving(pid: number, bootTime: number): Living | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  const comm = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
  // Numbered from 3 on, as proc_pid_stat(5) has them.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  if (fields[0] === 'X' || (fields[0] === 'Z' && field(20) <= 1)) return undefined;
  const isOfKernel = (field(9) & PF_KTHREAD) !== 0;
  return {
    pid,
    ppid: field(4),
    comm: isOfKernel ? undefined : comm,
    startTime: bootTime + field(22) * 10,
  };
}

/** How far two readings of a start may be apart, in ms. */
const startPrecision = 60;

/**
 * Holds what a helper lists against /proc, while the machine lives on: what was in /proc before and
 * still is has to be listed as it is, and nothing may be listed that was in /proc neither before nor after.
 *
 * @returns what is wrong, in words
 */
export async function differences(bus: Bus): Promise<string[]> {
  const before = livingProcesses();
  const { processes } = await bus.list();
  const after = livingProcesses();
  const wrong: string[] = [];
  const listed = new Map(processes.map((process) => [process.pid, process]));
  if (listed.size < processes.length) wrong.push('a pid is listed twice');
  for (const process of before.values()) {
    const later = after.get(process.pid);
    if (later === undefined || !isSame(process, later)) continue;
    const found = listed.get(process.pid);
    if (found === undefined) {
      wrong.push(`${process.pid} ${process.comm} is missing`);
      continue;
    }
    const { comm = found.comm, ppid, startTime } = later;
    const start = Date.parse(found.startTime);
    if (Math.abs(start - startTime) > startPrecision)
      wrong.push(`${process.pid} is listed with a wrong start`);
    if (found.comm !== comm && process.comm === later.comm) {
      wrong.push(`${process.pid} ${comm} is listed as ${found.comm}`);
    }
    if (found.ppid !== ppid && process.ppid === ppid) {
      wrong.push(`${process.pid} ${comm}, child of ${ppid}, is listed as one of ${found.ppid}`);
    }
  }
  for (const { pid, comm } of processes) {
    if (!before.has(pid) && !after.has(pid)) wrong.push(`${pid} ${comm} is listed and is gone`);
  }
  return wrong;
}

function isSame(a: Living, b: Living): boolean {
  return Math.abs(a.startTime - b.startTime) < startPrecision;
}
