/*
 * What programs take, by the operating system's account; see proc(5).
 */
import { readFileSync } from 'node:fs';

/** Ticks in a second of the times in /proc: `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux. */
const ticksPerSecond = 100;

/**
 * Seconds of CPU time that processes have taken so far, together: user and system, of all their threads, those that
 * have ended included. The kernel measures them in ns and tells them in ticks.
 */
export function cpuTime(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuTimeOf(pid), 0);
}

function cpuTimeOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [utime, stime] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(utime) + Number(stime)) / ticksPerSecond;
}

/** MiB of memory that a process occupies. */
export function residentOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
