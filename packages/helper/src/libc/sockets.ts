/*
 * Sockets: see socket(2), netlink(7), unix(7) and socket(7). Failures are thrown as SystemError.
 */
import {
  allocate,
  checked,
  EAGAIN,
  ECONNABORTED,
  EINTR,
  ERANGE,
  errno,
  native,
  SystemError,
} from './native.ts';

const c = {
  socket: native<number>('int socket(int domain, int type, int protocol)'),
  bind: native<number>('int bind(int fd, const void *address, uint32_t length)'),
  listen: native<number>('int listen(int fd, int backlog)'),
  accept4: native<number>('int accept4(int fd, void *address, void *length, int flags)'),
  shutdown: native<number>('int shutdown(int fd, int how)'),
  send: native<number>('long send(int fd, const void *data, size_t length, int flags)'),
  sendto: native<number>(
    'long sendto(int fd, const void *data, size_t length, int flags, const void *address, uint32_t addressLength)',
  ),
  sendmsg: native<number>('long sendmsg(int fd, const void *message, int flags)'),
  recvmmsg: native<number>('int recvmmsg(int fd, void *messages, uint32_t count, int flags, void *timeout)'),
  setsockopt: native<number>(
    'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
  ),
  getsockopt: native<number>('int getsockopt(int fd, int level, int name, void *value, void *length)'),
};

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
/** Not the same on all machines: powerpc has numbers of its own. */
export const SO_PEERCRED: number = process.arch === 'ppc64' ? 21 : 17;
const SO_ATTACH_FILTER = 26;
export const SO_ACCEPTCONN = 30;
export const SO_RCVBUFFORCE = 33;
export const SO_PROTOCOL = 38;
export const SO_DOMAIN = 39;
export const SO_MEMINFO = 55;
export const SO_PEERGROUPS = 59;

/** socket(2) */
export function socket(domain: number, type: number, protocol: number): number {
  return checked('socket', c.socket(domain, type, protocol));
}

/** bind(2) */
export function bind(fd: number, address: Uint8Array): void {
  checked('bind', c.bind(fd, address, address.byteLength));
}

/** listen(2) */
export function listen(fd: number, backlog: number): void {
  checked('listen', c.listen(fd, backlog));
}

/**
 * accept4(2) on a socket that does not block.
 *
 * @returns a descriptor that does not block either; undefined when nobody is waiting
 */
export function accept(fd: number): number | undefined {
  for (;;) {
    const accepted = c.accept4(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted >= 0) return accepted;
    if (errno() === EAGAIN) return undefined;
    if (errno() !== ECONNABORTED && errno() !== EINTR) throw new SystemError('accept4');
  }
}

/** shutdown(2): says that we have said all. */
export function shutdownWriting(fd: number): void {
  const SHUT_WR = 1;
  checked('shutdown', c.shutdown(fd, SHUT_WR));
}

/** send(2) */
export function send(fd: number, data: Uint8Array): void {
  checked('send', c.send(fd, data, data.byteLength, 0));
}

/**
 * send(2) without waiting.
 *
 * @returns whether all of it was taken; not where there is no room, or nobody to read it
 */
export function trySend(fd: number, data: Uint8Array): boolean {
  const MSG_DONTWAIT = 0x40;
  const MSG_NOSIGNAL = 0x4000;
  return c.send(fd, data, data.byteLength, MSG_DONTWAIT | MSG_NOSIGNAL) === data.byteLength;
}

/** sendto(2) */
export function sendTo(fd: number, data: Uint8Array, address: Uint8Array): void {
  checked('sendto', c.sendto(fd, data, data.byteLength, 0, address, address.byteLength));
}

/** sendmsg(2) with SCM_RIGHTS: hands a descriptor over along with the data; see cmsg(3) and unix(7). */
export function sendDescriptor(fd: number, data: Uint8Array, address: Uint8Array, descriptor: number): void {
  const SCM_RIGHTS = 1;
  // struct msghdr; at 56 struct iovec; at 72 struct cmsghdr with one int, 20 bytes and padding; then address and data.
  const addressAt = 96;
  const dataAt = addressAt + address.byteLength;
  const memory = allocate(dataAt + data.byteLength);
  try {
    const place = (offset: number): bigint => memory.address + BigInt(offset);
    const longs = new BigUint64Array(memory.buffer, 0, 10);
    longs.set([place(addressAt), 0n, place(56), 1n, place(72), 24n, 0n]);
    longs.set([place(dataAt), BigInt(data.byteLength), 20n], 7);
    new Uint32Array(memory.buffer, 8, 1)[0] = address.byteLength;
    new Int32Array(memory.buffer, 80, 3).set([SOL_SOCKET, SCM_RIGHTS, descriptor]);
    const bytes = new Uint8Array(memory.buffer);
    bytes.set(address, addressAt);
    bytes.set(data, dataAt);
    checked('sendmsg', c.sendmsg(fd, memory.address, 0));
  } finally {
    memory.free();
  }
}

/** setsockopt(2) */
export function setSocketOption(fd: number, level: number, name: number, value: number | Uint8Array): void {
  const bytes = typeof value === 'number' ? new Uint8Array(Int32Array.of(value).buffer) : value;
  checked('setsockopt', c.setsockopt(fd, level, name, bytes, bytes.byteLength));
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

/**
 * getsockopt(2) into `value`, whose length says how much is wanted.
 *
 * @returns how many bytes there are; where that is more than `value` has, nothing may have been written
 */
export function getSocketOption(fd: number, level: number, name: number, value: Uint32Array): number {
  const length = Uint32Array.of(value.byteLength);
  const result = c.getsockopt(fd, level, name, value, length);
  const [bytes = 0] = length;
  if (result < 0 && (errno() !== ERANGE || bytes <= value.byteLength)) throw new SystemError('getsockopt');
  return bytes;
}

/** getsockopt(2) for an option that is one number; undefined for what is no socket, or has no such option. */
export function socketOption(fd: number, level: number, name: number): number | undefined {
  const value = new Uint32Array(1);
  return c.getsockopt(fd, level, name, value, Uint32Array.of(4)) < 0 ? undefined : value[0];
}

/**
 * recvmmsg(2) without waiting.
 *
 * @param messages - the address of an array of `struct mmsghdr`
 * @returns how many messages were received; 0 when none is waiting
 */
export function receiveMany(fd: number, messages: bigint, count: number): number {
  const MSG_DONTWAIT = 0x40;
  const received = c.recvmmsg(fd, messages, count, MSG_DONTWAIT, null);
  if (received >= 0) return received;
  if (errno() === EAGAIN || errno() === EINTR) return 0;
  throw new SystemError('recvmmsg');
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
