/*
 * The files of /proc, see proc(5). The environment of a process is never read.
 *
 * Every function answers undefined where the process is gone or the file is forbidden: both are
 * ordinary here. Files are read with one read(2) into memory that is set up once, and their names are
 * written into such memory too, as all this happens within the half millisecond that a short
 * process lives.
 */
import { readdirSync } from 'node:fs';
import { allocate, fileOwner, readFile, readLink, type NativeMemory } from '../libc.ts';

/** Bytes of arguments that are kept. */
export const argsLimit = 4096;

const path = textMemory(64);
const content = textMemory(16 * 1024);

/** Native memory, and the same as a Buffer. */
function textMemory(bytes: number): NativeMemory & { readonly bytes: Buffer } {
  const memory = allocate(bytes);
  return { ...memory, bytes: Buffer.from(memory.buffer) };
}

/** Writes a path; returns its address. */
function pathOf(pid: number, file: string): bigint {
  path.bytes.write(`/proc/${pid}/${file}\0`, 'latin1');
  return path.address;
}

/** Puts the beginning of a file of a process into `content`; returns how many bytes. */
function read(pid: number, file: string, limit: number): number | undefined {
  return readFile(pathOf(pid, file), content.address, limit);
}

/** Puts what a link of a process leads to into `content`; returns how many bytes. */
function follow(pid: number, link: string): number | undefined {
  return readLink(pathOf(pid, link), content.address, 4096);
}

/** What of a program is read as bytes, see {@link readRaw}. */
export type RawFile = 'args' | 'exe' | 'cwd' | 'person' | 'cgroup';

/**
 * Reads a fact of a program as the bytes it is, for those that will decode it later.
 *
 * @returns a view of shared memory, valid until the next read
 */
export function readRaw(pid: number, file: RawFile): Buffer | undefined {
  const bytes = rawReaders[file](pid);
  return bytes === undefined ? undefined : content.bytes.subarray(0, bytes);
}

const rawReaders: Readonly<Record<RawFile, (pid: number) => number | undefined>> = {
  // One byte more than is kept tells whether there is more.
  args: (pid) => read(pid, 'cmdline', argsLimit + 1),
  exe: (pid) => follow(pid, 'exe'),
  cwd: (pid) => follow(pid, 'cwd'),
  person: readPerson,
  cgroup: (pid) => read(pid, 'cgroup', 4096),
};

/** Bytes of /proc/PID/status that hold all until the user, whatever the name is. */
const personLimit = 192;
/** In front of them: the owner of that file, see {@link ownerOf}; or this, which no user is. */
const noOwner = 0xffffffff;
const behindOwner = content.address + 4n;
/** Where they end: what follows is of no use, and would take room in a ring. */
const behindUser = Buffer.from('\nGid:');

/** What a process is called, and whose it is: as `decodeImage` reads it. */
function readPerson(pid: number): number | undefined {
  const bytes = readFile(pathOf(pid, 'status'), behindOwner, personLimit);
  if (bytes === undefined) return undefined;
  // Behind it: who may look into the process then has been able to while the rest was read.
  content.bytes.writeUInt32LE(fileOwner(path.address) ?? noOwner, 0);
  const end = content.bytes.subarray(0, 4 + bytes).indexOf(behindUser, 4);
  return end < 0 ? 4 + bytes : end;
}

/** What /proc/PID/stat tells. */
export interface Stat {
  readonly comm: string;
  /** Whether it has ended, all threads of it, and only waits to be reaped. */
  readonly isOver: boolean;
  readonly ppid: number;
  readonly sid: number;
  /** Device number of the controlling terminal; 0 for none. */
  readonly tty: number;
  /** When it started, in clock ticks of 10 ms since boot. */
  readonly startTicks: number;
}

/** The status line of a process. */
export function readStat(pid: number): Stat | undefined {
  const bytes = read(pid, 'stat', 1024);
  if (bytes === undefined) return undefined;
  // The name is in parentheses and may hold any byte: the last ")" ends it.
  const open = content.bytes.indexOf(0x28);
  const close = content.bytes.lastIndexOf(0x29, bytes - 1);
  const comm = content.bytes.toString('utf8', open + 1, close);
  const fields = content.bytes.toString('latin1', close + 2, bytes).split(' ');
  const [state = '', ppid, , sid, tty] = fields;
  const threads = Number(fields[17]);
  return {
    comm,
    // A leader that has ended before its threads looks like a zombie as well.
    isOver: state === 'X' || (state === 'Z' && threads <= 1),
    ppid: Number(ppid),
    sid: Number(sid),
    tty: Number(tty),
    startTicks: Number(fields[19]),
  };
}

/**
 * The user who may look into a process: its own one, if that is who began its program. The kernel gives the files
 * of a process that has changed its users since to root; but not the directory. See proc(5), and PR_SET_DUMPABLE
 * in prctl(2).
 */
export function ownerOf(pid: number): number | undefined {
  return fileOwner(pathOf(pid, 'status'));
}

/** Real and effective ids. */
export interface Ids {
  readonly uid: number;
  readonly euid: number;
  readonly gid: number;
  readonly egid: number;
}

/** The user and group ids of a process. */
export function readIds(pid: number): Ids | undefined {
  const bytes = read(pid, 'status', 4096);
  if (bytes === undefined) return undefined;
  const text = content.bytes.toString('latin1', 0, bytes);
  const ids = (name: string): number[] => {
    const at = text.indexOf(`\n${name}:\t`) + name.length + 3;
    return text.slice(at, text.indexOf('\n', at)).split('\t').map(Number);
  };
  const [uid = 0, euid = 0] = ids('Uid');
  const [gid = 0, egid = 0] = ids('Gid');
  return { uid, euid, gid, egid };
}

/** All processes of the machine that we may see. */
export function listPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => name.charCodeAt(0) - 0x30 <= 9 && name.charCodeAt(0) >= 0x31)
    .map(Number);
}
