/*
 * The C library, and all that is particular to koffi. The one file that knows it.
 *
 * Struct layouts are those of 64-bit Linux. Debian 11's C library has no wrappers yet for some calls; these go
 * to the kernel itself.
 */
import koffi from 'koffi';

const libc = koffi.load(null);

/** What may be given to a function of C: numbers, addresses, and memory of JavaScript. */
type Argument = number | bigint | string | ArrayBufferView | null;

/** A function of the C library, by its declaration in C; `Result` is what that says it returns. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- only the declaration knows
export function native<Result>(declaration: string): (...args: Argument[]) => Result {
  return libc.func(declaration) as (...args: Argument[]) => Result;
}

const group = koffi.struct({ name: 'char *', password: 'char *', gid: 'uint32_t', members: 'void *' });

/** The beginning of a `struct passwd`. */
const passwd = koffi.struct({ name: 'char *', password: 'char *', uid: 'uint32_t', gid: 'uint32_t' });

/** A group, as the system's name services know it. */
interface GroupEntry {
  readonly name: string;
  readonly gid: number;
}

/** A user, as the system's name services know it; `gid` is that of the group it logs in with. */
interface UserEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** A system call's failure, in the form of Node's own: `code` is the name of the errno. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  readonly code: string;
  readonly syscall: string;

  constructor(syscall: string) {
    const number = koffi.errno();
    const code =
      Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`;
    super(`${syscall}: ${code}`);
    this.code = code;
    this.syscall = syscall;
  }
}

/** The result of a system call; throws a SystemError where it failed. */
export function checked(syscall: string, result: number): number {
  if (result < 0) throw new SystemError(syscall);
  return result;
}

/** Why the last system call failed. */
export function errno(): number {
  return koffi.errno();
}

const errnos = koffi.os.errno;

/** Errors that are no failure to some. */
export const EAGAIN: number = errnos['EAGAIN'] as number;
export const ECONNABORTED: number = errnos['ECONNABORTED'] as number;
export const EINTR: number = errnos['EINTR'] as number;
export const ERANGE: number = errnos['ERANGE'] as number;
export const ESRCH: number = errnos['ESRCH'] as number;

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

const c = {
  mmap: native<unknown>(
    'void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)',
  ),
  munmap: native<number>('int munmap(void *address, size_t length)'),
};

/**
 * mmap(2): memory that a file holds, and that is its content. What is written there stays when the process ends.
 *
 * @param offset - where it begins in the file, a multiple of the size of a page
 */
export function mapShared(fd: number, offset: number, bytes: number): NativeMemory {
  const PROT_READ = 1;
  const PROT_WRITE = 2;
  const MAP_SHARED = 1;
  const pointer = c.mmap(null, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
  const address = koffi.address(pointer);
  // MAP_FAILED
  if (address === 0xffff_ffff_ffff_ffffn) throw new SystemError('mmap');
  return {
    address,
    buffer: koffi.view(pointer, bytes),
    free: () => void checked('munmap', c.munmap(address, bytes)),
  };
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
  let isWatched = true;
  const set = (watched: boolean): void => {
    if (watched === isWatched) return;
    isWatched = watched;
    if (watched) handle.start({ readable: true }, onReadable);
    else handle.stop();
  };
  return { pause: () => set(false), resume: () => set(true), close: () => handle.close() };
}

/** What a `struct group *` points to; undefined for NULL. */
export function readGroup(pointer: unknown): GroupEntry | undefined {
  return isNull(pointer) ? undefined : (koffi.decode(pointer, group) as GroupEntry);
}

/** What a `struct passwd *` points to; undefined for NULL. */
export function readPasswd(pointer: unknown): UserEntry | undefined {
  return isNull(pointer) ? undefined : (koffi.decode(pointer, passwd) as UserEntry);
}

function isNull(pointer: unknown): boolean {
  return pointer === null || pointer === 0n;
}
