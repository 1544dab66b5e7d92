/*
 * Clients of other users, in this process: Linux has user and groups for each thread, and the kernel notes those
 * of the thread that connects. Only root can become somebody else.
 */
import { native } from '../../src/libc/native.ts';

/** Whether this process can connect as somebody else. */
export const canBeOthers: boolean =
  process.getuid?.() === 0 && (process.arch === 'x64' || process.arch === 'arm64');

/** Somebody, by id. */
export interface Identity {
  readonly uid: number;
  /** The first one is that of the user; their own number where it is left out. */
  readonly groups?: readonly number[];
}

// Through the C library, these would change all threads.
const numbers =
  process.arch === 'arm64' ? { uid: 147, gid: 149, groups: 159 } : { uid: 117, gid: 119, groups: 116 };
const setIds = native<number>('long syscall(long number, uint32_t real, uint32_t effective, uint32_t saved)');
const setGroupIds = native<number>('long syscall(long number, size_t count, const void *groups)');
const same = 0xffff_ffff;

/** Does something, such as connecting, as somebody else; it must not wait for anything. */
export function impersonate<T>({ uid, groups = [uid] }: Identity, action: () => T): T {
  const before = process.getgroups?.() ?? [];
  become(groups, groups[0] ?? uid, uid);
  try {
    return action();
  } finally {
    // In the other order root would not be allowed to.
    check(setIds(numbers.uid, same, 0, same));
    become(before, 0, 0);
  }
}

function become(groups: readonly number[], gid: number, uid: number): void {
  check(setGroupIds(numbers.groups, groups.length, Uint32Array.from(groups)));
  check(setIds(numbers.gid, same, gid, same));
  check(setIds(numbers.uid, same, uid, same));
}

function check(result: number): void {
  if (result !== 0) throw new Error('this thread cannot become somebody else');
}
