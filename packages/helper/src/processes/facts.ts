/*
 * The facts of a process, put together from what the files of /proc say.
 */
import { bootOffset, monotonicTime } from '../libc.ts';
import { containerOf } from './container.ts';
import type { Facts, Image } from './process.ts';
import { argsLimit, ownerOf, readIds, readRaw, readStat, type RawFile } from './procfs.ts';

const tick = 10_000_000n; // ns; the kernel's USER_HZ is 100 on every architecture we run on

/**
 * What to read of a program, the most fleeting first: all before the person go with its last thread. That one is
 * behind all that is the user's: whoever it is then has been so while the rest was read.
 */
export const imageFiles: readonly RawFile[] = ['args', 'exe', 'cwd', 'person', 'cgroup'];

/** The files of {@link imageFiles} as bytes, where they could be read. */
export type RawImage = Readonly<Partial<Record<RawFile, Buffer | undefined>>>;

/**
 * Reads all of a program now. It may have run for long, and have changed its users meanwhile: who began it is told
 * where the present user may look into it, before and behind.
 */
export function readImage(pid: number): Image {
  const owner = ownerOf(pid);
  const raw: Partial<Record<RawFile, Buffer | undefined>> = {};
  for (const file of imageFiles) {
    const bytes = readRaw(pid, file);
    raw[file] = bytes === undefined ? undefined : Buffer.from(bytes);
  }
  const image = decodeImage(raw);
  const isCertain = image.begunBy === owner && owner === ownerOf(pid);
  return isCertain ? image : { ...image, begunBy: undefined };
}

/** Makes facts of what was read. */
export function decodeImage(raw: RawImage): Image {
  // A zombie and a kernel thread have an empty file, and no arguments.
  const argsBytes = raw.args?.length === 0 ? undefined : raw.args;
  const args = argsBytes === undefined ? undefined : splitArguments(argsBytes);
  const person = raw.person === undefined ? undefined : decodePerson(raw.person);
  const place = placeOf(raw.cgroup?.toString());
  const truncated = argsBytes !== undefined && argsBytes.length > argsLimit;
  return {
    comm: person?.comm ?? args?.[0]?.split('/').at(-1)?.slice(0, 15) ?? '',
    exe: raw.exe?.toString(),
    args,
    argsTruncated: truncated ? true : undefined,
    cwd: raw.cwd?.toString(),
    cgroup: place.cgroup,
    container: place.container,
    begunBy: person?.begunBy,
    detail: detailOf(args !== undefined, raw.exe !== undefined, person !== undefined),
  };
}

function splitArguments(bytes: Buffer): string[] {
  let end = Math.min(bytes.length, argsLimit);
  // Each argument ends with a NUL, and so does the last one.
  if (end === bytes.length && bytes[end - 1] === 0) end--;
  return bytes.toString('utf8', 0, end).split('\0');
}

/** What the bytes of `person` tell, see {@link readRaw}. */
interface Person {
  readonly comm: string;
  /**
   * The real user, where it is that of who began the program: not after a setuid(2) without an exec. While real and
   * effective user differ, as in `sudo`, nobody can say.
   */
  readonly begunBy: number | undefined;
}

/** Makes text and numbers of the bytes of `person`. */
function decodePerson(bytes: Buffer): Person {
  const text = bytes.toString('utf8', 4);
  const name = text.slice('Name:\t'.length, text.indexOf('\n'));
  const users = text.slice(text.indexOf('\nUid:\t') + '\nUid:\t'.length);
  const [uid = '', euid] = users.split('\t', 2);
  const isOwn = uid !== euid || bytes.readUInt32LE(0) === Number(uid);
  return { comm: unescaped(name), begunBy: isOwn ? Number(uid) : undefined };
}

/** The kernel escapes these two in a name, and nothing else. */
function unescaped(name: string): string {
  if (!name.includes('\\')) return name;
  return name.replaceAll(/\\([n\\])/g, (_, escaped) => (escaped === 'n' ? '\n' : '\\'));
}

function detailOf(args: boolean, exe: boolean, person: boolean): Facts['detail'] {
  if (args && exe) return 'complete';
  return args || exe || person ? 'partial' : 'gone';
}

/** All that /proc tells of a process. */
export interface FoundProcess {
  /** ns of CLOCK_MONOTONIC, exact to 10 ms. */
  readonly startTime: bigint;
  readonly ppid: number;
  readonly facts: Facts;
  /** ns of CLOCK_MONOTONIC: what happened before is part of the facts. */
  readonly readAt: bigint;
}

/** Reads all of a process; undefined where it is gone, or has ended. */
export function readProcess(pid: number): FoundProcess | undefined {
  const stat = readStat(pid);
  const ids = readIds(pid);
  if (stat === undefined || stat.isOver || ids === undefined) return undefined;
  const { sid, tty, ppid, startTicks } = stat;
  const facts = { ...readImage(pid), ...ids, sid, tty };
  return { startTime: startTimeOf(startTicks), ppid, facts, readAt: monotonicTime() };
}

/** /proc tells a start to 10 ms, and the clocks differ by a little, in ns. */
export const startPrecision = 20_000_000n;

/** A start as /proc tells it, on the clock of events. */
function startTimeOf(ticks: number): bigint {
  return BigInt(ticks) * tick - bootOffset();
}

type Place = Pick<Image, 'cgroup' | 'container'>;

const nowhere: Place = { cgroup: undefined, container: undefined };
let lastText = '';
let lastPlace = nowhere;

/** Where a process runs. Most that begin after each other do so in one place, and to look takes a while. */
function placeOf(text: string | undefined): Place {
  if (text === undefined) return nowhere;
  if (text !== lastText) {
    lastText = text;
    lastPlace = { cgroup: cgroupPath(text), container: containerOf(text) };
  }
  return lastPlace;
}

/** The path in the unified hierarchy, or else in systemd's own. */
function cgroupPath(text: string): string | undefined {
  const lines = text.split('\n');
  const unified = lines.find((line) => line.startsWith('0::'))?.slice(3);
  if (unified !== undefined && unified !== '/') return unified;
  const named = lines.find((line) => line.includes(':name=systemd:'));
  return named?.slice(named.indexOf(':name=systemd:') + ':name=systemd:'.length) ?? unified;
}
