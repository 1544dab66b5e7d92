/*
 * The memory of a process, in MiB, see proc(5).
 */
import { readFileSync } from 'node:fs';

/** What it occupies now. */
export function residentOf(pid: number): number {
  return of(pid, 'VmRSS');
}

/** The most that it has occupied so far: no garbage collection lowers it. */
export function peakOf(pid: number): number {
  return of(pid, 'VmHWM');
}

function of(pid: number, field: string): number {
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(
    readFileSync(`/proc/${pid}/status`, 'utf8'),
  )?.[1];
  return Number(kibibytes) / 1024;
}
