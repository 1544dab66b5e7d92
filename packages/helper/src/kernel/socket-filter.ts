/*
 * The kernel's part of filtering: a classic BPF program that drops, before they are queued and
 * without waking anybody, the events that no subscriber asked for.
 *
 * The program sees a datagram as bytes and loads words in network byte order, so constants are
 * swapped on a little-endian machine. See Documentation/networking/filter.rst.
 */
import { endianness } from 'node:os';
import { eventTypes, isThreadEvent, type EventType, type Filter } from '@procbus/protocol';
import { offsets, what } from './datagram.ts';

/** The events that are wanted of the kernel: of processes, and of single threads. */
export interface Interest {
  readonly processes: ReadonlySet<EventType>;
  readonly threads: ReadonlySet<EventType>;
}

/** A part of the CPUs: those whose number, modulo `of`, is `index`; `of` is a power of two up to 256. */
export interface CpuShare {
  readonly index: number;
  readonly of: number;
}

/**
 * What the helper itself needs: who is who, whether an exit is one; and for the journal all else that
 * happens to processes, which is rare. Threads are not.
 */
export const ownInterest: Interest = {
  processes: new Set(eventTypes),
  threads: new Set(),
};

/** The interest of one filter. */
export function interestOf(filter: Filter): Interest {
  return { processes: filter.events, threads: filter.threads ? filter.events : new Set() };
}

/** What several want, taken together. */
export function unionOf(interests: Iterable<Interest>): Interest {
  const processes = new Set<EventType>();
  const threads = new Set<EventType>();
  for (const interest of interests) {
    for (const type of interest.processes) processes.add(type);
    for (const type of interest.threads) threads.add(type);
  }
  return { processes, threads };
}

/** One `struct sock_filter`. */
export interface Instruction {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly k: number;
}

const loadWord = 0x20; // BPF_LD | BPF_W | BPF_ABS
const loadByte = 0x30; // BPF_LD | BPF_B | BPF_ABS
const and = 0x54; // BPF_ALU | BPF_AND | BPF_K
const toX = 0x07; // BPF_MISC | BPF_TAX
const jumpIfEqual = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const jumpIfEqualX = 0x1d; // BPF_JMP | BPF_JEQ | BPF_X
const finish = 0x06; // BPF_RET | BPF_K
const accept = 0xffffffff;
const drop = 0;

/**
 * The program that lets through what is of interest, and nothing else but the comm events of one
 * process: the helper's own, by which it knows that it hears.
 */
export function socketFilter(interest: Interest, self: number): Instruction[] {
  const always: number[] = [];
  const ofProcesses: number[] = [];
  for (const type of eventTypes) {
    if (!interest.processes.has(type)) continue;
    const hasThreadEvents = isThreadEvent({ type, pid: 1, tid: 2 });
    const all = !hasThreadEvents || interest.threads.has(type);
    (all ? always : ofProcesses).push(what[type]);
  }

  // Blocks: a dispatch on the type, then one check each for fork, for the other types, and for self.
  const isLeader = compareWords(offsets.pid, offsets.tgid);
  const isLeaderChild = compareWords(offsets.childPid, offsets.childTgid);
  const isSelf = [
    statement(loadWord, offsets.tgid),
    jump(jumpIfEqual, hostWord(self), 1, 0),
    statement(finish, drop),
  ];
  const ofSelf = interest.processes.has('comm') ? [] : [what.comm];
  const leaderAt = 1 + always.length + ofProcesses.length + ofSelf.length + 1;
  const leaderChildAt = leaderAt + isLeader.length;
  const selfAt = leaderChildAt + isLeaderChild.length;
  const acceptAt = selfAt + isSelf.length;

  const program: Instruction[] = [statement(loadWord, offsets.what)];
  const jumpTo = (target: number, type: number): void => {
    program.push(jump(jumpIfEqual, hostWord(type), target - program.length - 1, 0));
  };
  for (const type of always) jumpTo(acceptAt, type);
  for (const type of ofProcesses) jumpTo(type === what.fork ? leaderChildAt : leaderAt, type);
  for (const type of ofSelf) jumpTo(selfAt, type);
  program.push(statement(finish, drop), ...isLeader, ...isLeaderChild, ...isSelf, statement(finish, accept));
  return program;
}

/** Drops what happens on other CPUs; to be put before a program. */
export function onlyOn({ index, of }: CpuShare): Instruction[] {
  const lowestByte = offsets.cpu + (endianness() === 'LE' ? 0 : 3);
  return [
    statement(loadByte, lowestByte),
    statement(and, of - 1),
    jump(jumpIfEqual, index, 1, 0),
    statement(finish, drop),
  ];
}

/** Accepts where two words of the datagram are equal, and drops otherwise. */
function compareWords(a: number, b: number): Instruction[] {
  return [
    statement(loadWord, a),
    statement(toX, 0),
    statement(loadWord, b),
    jump(jumpIfEqualX, 0, 1, 0),
    statement(finish, drop),
    statement(finish, accept),
  ];
}

function statement(code: number, k: number): Instruction {
  return { code, jumpTrue: 0, jumpFalse: 0, k };
}

function jump(code: number, k: number, jumpTrue: number, jumpFalse: number): Instruction {
  return { code, jumpTrue, jumpFalse, k };
}

/** A word of host byte order as the program will load it. */
function hostWord(word: number): number {
  if (endianness() === 'BE') return word;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(word);
  return bytes.readUInt32BE();
}

/** Lays the program out as an array of `struct sock_filter`. */
export function assemble(program: readonly Instruction[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(8 * program.length));
  const littleEndian = endianness() === 'LE';
  program.forEach(({ code, jumpTrue, jumpFalse, k }, index) => {
    bytes.setUint16(8 * index, code, littleEndian);
    bytes.setUint8(8 * index + 2, jumpTrue);
    bytes.setUint8(8 * index + 3, jumpFalse);
    bytes.setUint32(8 * index + 4, k, littleEndian);
  });
  return new Uint8Array(bytes.buffer);
}
