/*
 * /proc as the process table asks it, with somebody at its side who reads programs in time.
 */
import type { ExecReader } from './exec-reader.ts';
import { readProcess } from './facts.ts';
import type { Proc } from './process-table.ts';
import { listPids, readStat } from './procfs.ts';

export function procOf(reader: ExecReader): Proc {
  return {
    listPids,
    readProcess,
    parentOf: (pid) => readStat(pid)?.ppid,
    isHidden: (pid) => readStat(pid) === undefined && isForbidden(pid),
    imageOf: (exec) => reader.imageOf(exec),
  };
}

/** Whether there is a process that we may not even send a signal. */
function isForbidden(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
