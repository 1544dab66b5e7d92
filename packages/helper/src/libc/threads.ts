/*
 * Processes and threads: see pidfd_open(2), prctl(2) and sched(7).
 */
import { checked, errno, ESRCH, native, SystemError } from './native.ts';

const c = {
  prctl: native<number>('int prctl(int option, const void *a, ulong b, ulong c, ulong d)'),
  schedSetscheduler: native<number>('int sched_setscheduler(int thread, int policy, const void *parameter)'),
  schedSetaffinity: native<number>('int sched_setaffinity(int thread, size_t bytes, const void *mask)'),
  setpriority: native<number>('int setpriority(int which, uint32_t who, int priority)'),
  syscall: native<number>('long syscall(long number, long a, long b)'),
};

/**
 * pidfd_open(2): a descriptor that becomes readable when the process is over, all threads of it.
 *
 * @returns undefined where no such process is left
 */
export function openPidfd(pid: number): number | undefined {
  const SYS_pidfd_open = 434;
  const fd = c.syscall(SYS_pidfd_open, pid, 0);
  if (fd >= 0) return fd;
  if (errno() === ESRCH) return undefined;
  throw new SystemError('pidfd_open');
}

/** prctl(2), PR_SET_NAME: names the calling thread, which the kernel tells as a comm event. */
export function setThreadName(name: string): void {
  const PR_SET_NAME = 15;
  checked('prctl', c.prctl(PR_SET_NAME, Buffer.from(`${name}\0`), 0, 0, 0));
}

/**
 * sched_setaffinity(2): has the calling thread, and no other, run on some CPUs only.
 *
 * @param cpus - a bit for each CPU; those that there are not are ignored
 * @returns whether it does; not where none of them is open to us
 */
export function stayOn(cpus: Uint8Array): boolean {
  return c.schedSetaffinity(0, cpus.byteLength, cpus) === 0;
}

/** What {@link hurry} could get. */
export type Urgency = 'real-time' | 'nice' | 'none';

/**
 * Has the calling thread, and no other, run before all ordinary work: with the lowest real-time
 * priority, see sched(7), or with the highest ordinary one.
 */
export function hurry(): Urgency {
  const SCHED_RR = 2;
  const SCHED_RESET_ON_FORK = 0x40000000;
  const PRIO_PROCESS = 0;
  if (c.schedSetscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, Int32Array.of(1)) === 0) return 'real-time';
  return c.setpriority(PRIO_PROCESS, 0, -20) === 0 ? 'nice' : 'none';
}
