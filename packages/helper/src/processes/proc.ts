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
    isHidden: (pid) => readStat(pid) === undefined && exists(pid),
    imageOf: (exec) => reader.imageOf(exec),
  };
}

/** Whether there is a process, by a signal that is none; where /proc hides one, we may still be allowed to send it. */
function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
