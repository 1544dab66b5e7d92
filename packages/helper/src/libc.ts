/*
 * The system calls that Node does not offer. The one file that knows koffi.
 *
 * Each function is one call of the C library, or of the kernel where the C library of Debian 11
 * has no wrapper yet; all throw a SystemError for a failure that the caller did not ask to see.
 * Struct layouts are those of 64-bit Linux.
 */
import koffi from 'koffi';

const libc = koffi.load(null);

const c = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  bind: libc.func('int bind(int fd, const void *address, uint32_t length)'),
  listen: libc.func('int listen(int fd, int backlog)'),
  send: libc.func('long send(int fd, const void *data, size_t length, int flags)'),
  sendto: libc.func(
    'long sendto(int fd, const void *data, size_t length, int flags, const void *address, uint32_t addressLength)',
  ),
  recvmmsg: libc.func('int recvmmsg(int fd, void *messages, uint32_t count, int flags, void *timeout)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
  getsockopt: libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)'),
  open: libc.func('int open(const void *path, int flags)'),
  read: libc.func('long read(int fd, void *data, size_t length)'),
  readlink: libc.func('long readlink(const void *path, void *data, size_t length)'),
  close: libc.func('int close(int fd)'),
  eventfd: libc.func('int eventfd(uint32_t value, int flags)'),
  poll: libc.func('int poll(void *descriptors, ulong count, int timeout)'),
  flock: libc.func('int flock(int fd, int operation)'),
  prctl: libc.func('int prctl(int option, const void *a, ulong b, ulong c, ulong d)'),
  clockGettime: libc.func('int clock_gettime(int clock, void *time)'),
  schedSetscheduler: libc.func('int sched_setscheduler(int thread, int policy, const void *parameter)'),
  setpriority: libc.func('int setpriority(int which, uint32_t who, int priority)'),
  syscall: libc.func('long syscall(long number, long a, long b)'),
  getgrnam: libc.func('void *getgrnam(const char *name)'),
  getpwnam: libc.func('void *getpwnam(const char *name)'),
  getpwuid: libc.func('void *getpwuid(uint32_t uid)'),
};

const group = koffi.struct({ name: 'char *', password: 'char *', gid: 'uint32_t', members: 'void *' });

/** The beginning of a `struct passwd`. */
const passwd = koffi.struct({ name: 'char *' });

/** A system call's failure, in the form of Node's own: `code` is the name of the errno. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  readonly code: string;
  readonly syscall: string;

  constructor(syscall: string) {
    const errno = koffi.errno();
    const code =
      Object.entries(koffi.os.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`;
    super(`${syscall}: ${code}`);
    this.code = code;
    this.syscall = syscall;
  }
}

function checked(syscall: string, result: number): number {
  if (result < 0) throw new SystemError(syscall);
  return result;
}

const { EAGAIN, EINTR, ESRCH } = koffi.os.errno;

/** Constants of the Linux ABI, named as in the headers. */
export const AF_UNIX = 1;
export const AF_NETLINK = 16;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_TYPE = 3;
export const SO_RCVBUF = 8;
const SO_ATTACH_FILTER = 26;
export const SO_ACCEPTCONN = 30;
export const SO_RCVBUFFORCE = 33;
export const SO_DOMAIN = 39;
export const SO_MEMINFO = 55;

/** Memory outside the JavaScript heap, which system calls may keep pointing into. */
export interface NativeMemory {
  readonly address: bigint;
  readonly buffer: ArrayBuffer;
  free(): void;
}

/** Allocates zeroed native memory. Nothing may touch `buffer` after `free`. */
export function allocate(bytes: number): NativeMemory {
  const pointer: unknown = koffi.alloc('uint8_t', bytes);
  const buffer = koffi.view(pointer, bytes);
  new Uint8Array(buffer).fill(0);
  return { address: koffi.address(pointer), buffer, free: () => koffi.free(pointer) };
}

/** socket(2) */
export function socket(domain: number, type: number, protocol: number): number {
  return checked('socket', c.socket(domain, type, protocol) as number);
}

/** bind(2) */
export function bind(fd: number, address: Uint8Array): void {
  checked('bind', c.bind(fd, address, address.byteLength) as number);
}

/** listen(2) */
export function listen(fd: number, backlog: number): void {
  checked('listen', c.listen(fd, backlog) as number);
}

/** send(2) */
export function send(fd: number, data: Uint8Array): void {
  checked('send', c.send(fd, data, data.byteLength, 0) as number);
}

/** sendto(2) */
export function sendTo(fd: number, data: Uint8Array, address: Uint8Array): void {
  checked('sendto', c.sendto(fd, data, data.byteLength, 0, address, address.byteLength) as number);
}

/** close(2) */
export function close(fd: number): void {
  checked('close', c.close(fd) as number);
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
  const fd = c.open(path, O_CLOEXEC) as number;
  if (fd < 0) return undefined;
  const bytes = c.read(fd, data, limit) as number;
  c.close(fd);
  return bytes < 0 ? undefined : bytes;
}

/** readlink(2), with addresses and result as {@link readFile} has them. */
export function readLink(path: bigint, data: bigint, limit: number): number | undefined {
  const bytes = c.readlink(path, data, limit) as number;
  return bytes < 0 ? undefined : bytes;
}

/** eventfd(2): a descriptor that becomes readable when somebody writes to it. */
export function openEventfd(): number {
  const EFD_CLOEXEC = 0o2000000;
  return checked('eventfd', c.eventfd(0, EFD_CLOEXEC) as number);
}

/** setsockopt(2) */
export function setSocketOption(fd: number, level: number, name: number, value: number | Uint8Array): void {
  const bytes = typeof value === 'number' ? new Uint8Array(Int32Array.of(value).buffer) : value;
  checked('setsockopt', c.setsockopt(fd, level, name, bytes, bytes.byteLength) as number);
}

/** SO_ATTACH_FILTER: puts a classic BPF program, an array of `struct sock_filter`, on a socket. */
export function attachFilter(fd: number, program: Uint8Array): void {
  const instructions = allocate(program.byteLength);
  try {
    new Uint8Array(instructions.buffer).set(program);
    // struct sock_fprog: u16 len, padding, pointer. The kernel copies the program.
    const fprog = new BigUint64Array([0n, instructions.address]);
    new Uint16Array(fprog.buffer)[0] = program.byteLength / 8;
    setSocketOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, new Uint8Array(fprog.buffer));
  } finally {
    instructions.free();
  }
}

/** getsockopt(2) into `value`, whose length says how much is wanted. */
export function getSocketOption(fd: number, level: number, name: number, value: Uint32Array): void {
  const length = Uint32Array.of(value.byteLength);
  checked('getsockopt', c.getsockopt(fd, level, name, value, length) as number);
}

/**
 * recvmmsg(2) without waiting.
 *
 * @param messages - the address of an array of `struct mmsghdr`
 * @returns how many messages were received; 0 when none is waiting
 */
export function receiveMany(fd: number, messages: bigint, count: number): number {
  const MSG_DONTWAIT = 0x40;
  const received = c.recvmmsg(fd, messages, count, MSG_DONTWAIT, null) as number;
  if (received >= 0) return received;
  const errno = koffi.errno();
  if (errno === EAGAIN || errno === EINTR) return 0;
  throw new SystemError('recvmmsg');
}

/** A descriptor that is being watched, on the event loop. */
export interface Watch {
  pause(): void;
  resume(): void;
  close(): void;
}

/** Calls back, on the event loop, whenever `fd` has something to read, until the watch is closed. */
export function watchReadable(fd: number, onReadable: () => void): Watch {
  const handle = koffi.node.poll(fd, { readable: true }, onReadable);
  return {
    pause: () => handle.stop(),
    resume: () => handle.start({ readable: true }, onReadable),
    close: () => handle.close(),
  };
}

/** poll(2) without waiting: whether `fd` has something to read, or hung up. */
export function isReadable(fd: number): boolean {
  const POLLIN = 1;
  const descriptor = Int32Array.of(fd, POLLIN);
  for (;;) {
    const ready = c.poll(descriptor, 1, 0) as number;
    // A signal interrupts even a call that does not wait.
    if (ready >= 0 || koffi.errno() !== EINTR) return checked('poll', ready) > 0;
  }
}

/** poll(2): waits until one of the descriptors has something to read, or hung up; returns the first. */
export function waitReadable(...fds: number[]): number {
  const POLLIN = 1;
  const descriptors = Int32Array.from(fds.flatMap((fd) => [fd, POLLIN]));
  for (;;) {
    const ready = c.poll(descriptors, fds.length, -1) as number;
    if (ready < 0 && koffi.errno() !== EINTR) throw new SystemError('poll');
    // The upper half of the second word is what has come.
    const first = ready > 0 ? fds.findIndex((_, at) => (descriptors[2 * at + 1] as number) >>> 16 !== 0) : -1;
    if (first >= 0) return fds[first] as number;
  }
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
  if ((c.schedSetscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, Int32Array.of(1)) as number) === 0)
    return 'real-time';
  return (c.setpriority(PRIO_PROCESS, 0, -20) as number) === 0 ? 'nice' : 'none';
}

/**
 * pidfd_open(2): a descriptor that becomes readable when the process is over, all threads of it.
 *
 * @returns undefined where no such process is left
 */
export function openPidfd(pid: number): number | undefined {
  const SYS_pidfd_open = 434;
  const fd = Number(c.syscall(SYS_pidfd_open, pid, 0));
  if (fd >= 0) return fd;
  if (koffi.errno() === ESRCH) return undefined;
  throw new SystemError('pidfd_open');
}

/**
 * flock(2): takes the exclusive lock, if it is free.
 *
 * @returns whether the lock is held now; closing the descriptor gives it up
 */
export function tryLock(fd: number): boolean {
  const LOCK_EX = 2;
  const LOCK_NB = 4;
  if ((c.flock(fd, LOCK_EX | LOCK_NB) as number) === 0) return true;
  if (koffi.errno() === EAGAIN) return false;
  throw new SystemError('flock');
}

/** prctl(2), PR_SET_NAME: names the calling thread, which the kernel tells as a comm event. */
export function setThreadName(name: string): void {
  const PR_SET_NAME = 15;
  checked('prctl', c.prctl(PR_SET_NAME, Buffer.from(`${name}\0`), 0, 0, 0) as number);
}

const timespec = new BigInt64Array(2);

/** clock_gettime(2), in ns. */
function clock(id: number): bigint {
  checked('clock_gettime', c.clockGettime(id, timespec) as number);
  return (timespec[0] as bigint) * 1_000_000_000n + (timespec[1] as bigint);
}

/** CLOCK_MONOTONIC in ns: the clock of the kernel's timestamps. */
export function monotonicTime(): bigint {
  return clock(1);
}

/** What to add to a monotonic time, in ns, for the time since 1970. It changes when the clock is set. */
export function clockOffset(): bigint {
  return clock(0) - clock(1);
}

/** What to add to a monotonic time, in ns, for the time since boot: it also runs while suspended. */
export function bootOffset(): bigint {
  return clock(7) - clock(1);
}

/** getgrnam(3): the id of a group, or undefined where there is none of that name. */
export function groupId(name: string): number | undefined {
  const entry: unknown = c.getgrnam(name);
  if (entry === null || entry === 0n) return undefined;
  return (koffi.decode(entry, group) as { gid: number }).gid;
}

/** getpwuid(3): the name of a user, or undefined where there is none of that id. */
export function userNameOf(uid: number): string | undefined {
  const entry: unknown = c.getpwuid(uid);
  if (entry === null || entry === 0n) return undefined;
  return (koffi.decode(entry, passwd) as { name: string }).name;
}

/** getpwnam(3): whether there is a user of that name. */
export function userExists(name: string): boolean {
  // C would see the name before the NUL, which may well be a user's.
  if (name.includes('\0')) return false;
  const entry: unknown = c.getpwnam(name);
  return entry !== null && entry !== 0n;
}

/** A `struct sockaddr_un`; see unix(7) for paths, and for the names without a file that begin with NUL. */
export function unixAddress(path: string): Uint8Array {
  const name = Buffer.from(path.startsWith('\0') ? path : `${path}\0`);
  const address = Buffer.alloc(2 + name.length);
  new Uint16Array(address.buffer, address.byteOffset, 1)[0] = AF_UNIX;
  name.copy(address, 2);
  return address;
}

/** The longest path a `struct sockaddr_un` takes, in bytes. */
export const maxUnixPath = 107;
