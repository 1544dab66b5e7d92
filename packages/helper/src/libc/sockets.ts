/*
 * Sockets: see socket(2), netlink(7), unix(7) and socket(7). Failures are thrown as SystemError.
 */
import { allocate, checked, EAGAIN, EINTR, errno, native, SystemError } from './native.ts';

const c = {
  socket: native<number>('int socket(int domain, int type, int protocol)'),
  bind: native<number>('int bind(int fd, const void *address, uint32_t length)'),
  listen: native<number>('int listen(int fd, int backlog)'),
  send: native<number>('long send(int fd, const void *data, size_t length, int flags)'),
  sendto: native<number>(
    'long sendto(int fd, const void *data, size_t length, int flags, const void *address, uint32_t addressLength)',
  ),
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
const SO_ATTACH_FILTER = 26;
export const SO_ACCEPTCONN = 30;
export const SO_RCVBUFFORCE = 33;
export const SO_DOMAIN = 39;
export const SO_MEMINFO = 55;

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

/** send(2) */
export function send(fd: number, data: Uint8Array): void {
  checked('send', c.send(fd, data, data.byteLength, 0));
}

/** sendto(2) */
export function sendTo(fd: number, data: Uint8Array, address: Uint8Array): void {
  checked('sendto', c.sendto(fd, data, data.byteLength, 0, address, address.byteLength));
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

/** getsockopt(2) into `value`, whose length says how much is wanted. */
export function getSocketOption(fd: number, level: number, name: number, value: Uint32Array): void {
  const length = Uint32Array.of(value.byteLength);
  checked('getsockopt', c.getsockopt(fd, level, name, value, length));
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
