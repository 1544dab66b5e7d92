/*
 * Descriptors and files. Failures that the caller did not ask to see are thrown as SystemError.
 */
import { checked, EAGAIN, EINTR, errno, native, SystemError } from './native.ts';

const c = {
  open: native<number>('int open(const void *path, int flags)'),
  read: native<number>('long read(int fd, void *data, size_t length)'),
  readlink: native<number>('long readlink(const void *path, void *data, size_t length)'),
  close: native<number>('int close(int fd)'),
  statx: native<number>('int statx(int directory, const void *path, int flags, uint32_t mask, void *status)'),
  eventfd: native<number>('int eventfd(uint32_t value, int flags)'),
  memfdCreate: native<number>('int memfd_create(const char *name, uint32_t flags)'),
  poll: native<number>('int poll(void *descriptors, ulong count, int timeout)'),
  getrlimit: native<number>('int getrlimit(int resource, void *limit)'),
  flock: native<number>('int flock(int fd, int operation)'),
};

/** close(2) */
export function close(fd: number): void {
  checked('close', c.close(fd));
}

/**
 * The beginning of a file, in one open(2) and one read(2).
 *
 * @param path - the address of its name, which ends with NUL
 * @param data - the address of at least `limit` bytes
 * @returns how many bytes there were; undefined where it cannot be read
 */
export function readFile(path: bigint, data: bigint, limit: number): number | undefined {
  const O_CLOEXEC = 0o2000000;
  const fd = c.open(path, O_CLOEXEC);
  if (fd < 0) return undefined;
  const bytes = c.read(fd, data, limit);
  c.close(fd);
  return bytes < 0 ? undefined : bytes;
}

/** readlink(2), with addresses and result as {@link readFile} has them. */
export function readLink(path: bigint, data: bigint, limit: number): number | undefined {
  const bytes = c.readlink(path, data, limit);
  return bytes < 0 ? undefined : bytes;
}

/** statx(2): the user whose a file is, `path` as {@link readFile} has it; undefined where it cannot be seen. */
export function fileOwner(path: bigint): number | undefined {
  const AT_FDCWD = -100;
  const STATX_UID = 8;
  // stx_uid is the sixth word.
  return c.statx(AT_FDCWD, path, 0, STATX_UID, fileStatus) === 0 ? fileStatus[5] : undefined;
}

/** A `struct statx`. */
const fileStatus = new Uint32Array(64);

/** eventfd(2): a descriptor that becomes readable when somebody writes to it. */
export function openEventfd(): number {
  const EFD_CLOEXEC = 0o2000000;
  return checked('eventfd', c.eventfd(0, EFD_CLOEXEC));
}

/** memfd_create(2): a file without a path, which lasts as long as somebody has it open. */
export function openMemory(name: string): number {
  const MFD_CLOEXEC = 1;
  return checked('memfd_create', c.memfdCreate(name, MFD_CLOEXEC));
}

/**
 * flock(2): takes the exclusive lock, if it is free.
 *
 * @returns whether the lock is held now; closing the descriptor gives it up
 */
export function tryLock(fd: number): boolean {
  const LOCK_EX = 2;
  const LOCK_NB = 4;
  if (c.flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  if (errno() === EAGAIN) return false;
  throw new SystemError('flock');
}

/** poll(2) without waiting: whether `fd` has something to read, or hung up. */
export function isReadable(fd: number): boolean {
  const POLLIN = 1;
  const descriptor = Int32Array.of(fd, POLLIN);
  for (;;) {
    const ready = c.poll(descriptor, 1, 0);
    // A signal interrupts even a call that does not wait.
    if (ready >= 0 || errno() !== EINTR) return checked('poll', ready) > 0;
  }
}

/** poll(2): waits until one of the descriptors has something to read, or hung up; returns the first. */
export function waitReadable(...fds: number[]): number {
  const POLLIN = 1;
  const descriptors = Int32Array.from(fds.flatMap((fd) => [fd, POLLIN]));
  for (;;) {
    const ready = c.poll(descriptors, fds.length, -1);
    if (ready < 0 && errno() !== EINTR) throw new SystemError('poll');
    // The upper half of the second word is what has come.
    const first = ready > 0 ? fds.findIndex((_, at) => (descriptors[2 * at + 1] as number) >>> 16 !== 0) : -1;
    if (first >= 0) return fds[first] as number;
  }
}

/** poll(2) without waiting: which of these sockets have been closed at the other end, and shut down at ours. */
export function hungUp(fds: readonly number[]): number[] {
  const POLLHUP = 0x10;
  const descriptors = Int32Array.from(fds.flatMap((fd) => [fd, 0]));
  if (c.poll(descriptors, fds.length, 0) <= 0) return [];
  return fds.filter((_, at) => ((descriptors[2 * at + 1] as number) >>> 16) & POLLHUP);
}

/** getrlimit(2), RLIMIT_NOFILE: no descriptor of ours reaches this number. */
export function descriptorLimit(): number {
  const RLIMIT_NOFILE = 7;
  const limit = new BigUint64Array(2);
  checked('getrlimit', c.getrlimit(RLIMIT_NOFILE, limit));
  return Number(limit[0]);
}
