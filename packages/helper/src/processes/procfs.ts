/*
 * Facts from /proc, see proc(5). The environment of a process is never read.
 *
 * Every function answers undefined where the process is gone or the file is forbidden: both are
 * ordinary here. Files are read with one read(2) into memory that is set up once.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';

/** Bytes of arguments that are kept. */
export const argsLimit = 4096;

const buffer = Buffer.alloc(16 * 1024);

/** Reads the beginning of a file of a process into the shared buffer; returns how many bytes. */
function read(pid: number, file: string, limit: number): number | undefined {
  let fd: number;
  try {
    fd = openSync(`/proc/${pid}/${file}`, 'r');
  } catch {
    return undefined;
  }
  try {
    return readSync(fd, buffer, 0, limit, null);
  } catch {
    return undefined; // ESRCH: it ended between open and read.
  } finally {
    closeSync(fd);
  }
}

function readLink(pid: number, file: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/${file}`);
  } catch {
    return undefined;
  }
}

/** The arguments of a program. */
export interface Arguments {
  readonly args: readonly string[];
  /** Whether there were more than {@link argsLimit} bytes. */
  readonly truncated: boolean;
}

/** The arguments; undefined also for a zombie and a kernel thread, which have none. */
export function readArguments(pid: number): Arguments | undefined {
  // One byte more than is kept tells whether there is more.
  const bytes = read(pid, 'cmdline', argsLimit + 1);
  if (bytes === undefined || bytes === 0) return undefined;
  const truncated = bytes > argsLimit;
  let end = Math.min(bytes, argsLimit);
  // Each argument ends with a NUL, and so does the last one.
  if (!truncated && buffer[end - 1] === 0) end--;
  return { args: buffer.toString('utf8', 0, end).split('\0'), truncated };
}

/** Path of the program. */
export function readExe(pid: number): string | undefined {
  return readLink(pid, 'exe');
}

/** The working directory. */
export function readCwd(pid: number): string | undefined {
  return readLink(pid, 'cwd');
}

/** The text of /proc/PID/cgroup, see cgroups(7). */
export function readCgroup(pid: number): string | undefined {
  const bytes = read(pid, 'cgroup', buffer.length);
  return bytes === undefined ? undefined : buffer.toString('utf8', 0, bytes);
}

/** What /proc/PID/stat tells. */
export interface Stat {
  readonly comm: string;
  /** One letter; Z is a zombie. */
  readonly state: string;
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
  const open = buffer.indexOf(0x28);
  const close = buffer.lastIndexOf(0x29, bytes - 1);
  const comm = buffer.toString('utf8', open + 1, close);
  const fields = buffer.toString('latin1', close + 2, bytes).split(' ');
  const [state = '', ppid, , sid, tty] = fields;
  return {
    comm,
    state,
    ppid: Number(ppid),
    sid: Number(sid),
    tty: Number(tty),
    startTicks: Number(fields[19]),
  };
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
  const text = buffer.toString('latin1', 0, bytes);
  const ids = (name: string): number[] => {
    const at = text.indexOf(`\n${name}:\t`) + name.length + 3;
    return text.slice(at, text.indexOf('\n', at)).split('\t').map(Number);
  };
  const [uid = 0, euid = 0] = ids('Uid');
  const [gid = 0, egid = 0] = ids('Gid');
  return { uid, euid, gid, egid };
}

/** All processes of the machine. */
export function listPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => name.charCodeAt(0) - 0x30 <= 9 && name.charCodeAt(0) >= 0x31)
    .map(Number);
}
