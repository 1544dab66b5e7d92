/*
 * One datagram of the proc connector, decoded where it lies.
 *
 * Layout (linux/netlink.h, linux/connector.h, linux/cn_proc.h), in 32-bit words of host byte order:
 *   nlmsghdr 0-3 · cn_msg 4-8 (idx, val, seq, ack, len + flags) · what 9 · cpu 10 · timestamp 11-12
 *   · the union from 13 on.
 * The kernel's "pid" is a thread id and its "tgid" a pid; here they get their usual names.
 */
import type { KernelEvent } from '@procbus/protocol';

/** `CN_IDX_PROC` and `CN_VAL_PROC`: the connector's address of process events. */
export const CN_IDX_PROC = 1;
export const CN_VAL_PROC = 1;

/** `enum proc_cn_event`; the numbers are bits. */
export const what = {
  fork: 0x1,
  exec: 0x2,
  uid: 0x4,
  gid: 0x40,
  sid: 0x80,
  ptrace: 0x100,
  comm: 0x200,
  coredump: 0x40000000,
  exit: 0x80000000,
} as const;

/** Where the fields are, in bytes from the start of the datagram. */
export const offsets = {
  what: 36,
  cpu: 40,
  time: 44,
  pid: 52,
  tgid: 56,
  childPid: 60,
  childTgid: 64,
} as const;

/** The shortest datagram that has a pid and a tgid: older kernels send less than the whole union. */
const shortestBytes = 60;

/**
 * Decodes one datagram.
 *
 * @param words - memory that holds the datagram
 * @param at - the word it begins at
 * @param bytes - its length
 * @param kernelTime - its `timestamp_ns`
 * @returns undefined for what is no event of a process: acknowledgements, event types that are new
 */
export function decodeDatagram(
  words: Uint32Array,
  at: number,
  bytes: number,
  kernelTime: bigint,
): KernelEvent | undefined {
  if (bytes < shortestBytes || words[at + 4] !== CN_IDX_PROC || words[at + 5] !== CN_VAL_PROC)
    return undefined;
  /** A word of the union; 0 where the kernel sent less. */
  const field = (index: number): number => (52 + 4 * index < bytes ? (words[at + 13 + index] as number) : 0);
  const cpu = words[at + 10] as number;
  const tid = field(0);
  const pid = field(1);
  switch (words[at + 9]) {
    case what.fork:
      return { type: 'fork', kernelTime, cpu, pid: field(3), tid: field(2), ppid: pid, ptid: tid };
    case what.exec:
      return { type: 'exec', kernelTime, cpu, pid, tid };
    case what.uid:
      return { type: 'uid', kernelTime, cpu, pid, tid, uid: field(2), euid: field(3) };
    case what.gid:
      return { type: 'gid', kernelTime, cpu, pid, tid, gid: field(2), egid: field(3) };
    case what.sid:
      return { type: 'sid', kernelTime, cpu, pid, tid };
    case what.ptrace:
      return { type: 'ptrace', kernelTime, cpu, pid, tid, tracerTid: field(2), tracerPid: field(3) };
    case what.comm:
      return {
        type: 'comm',
        kernelTime,
        cpu,
        pid,
        tid,
        comm: text(words, at + 15, Math.min(16, bytes - 60)),
      };
    case what.coredump:
      return { type: 'coredump', kernelTime, cpu, pid, tid, ppid: field(3) };
    case what.exit:
      return { type: 'exit', kernelTime, cpu, pid, tid, status: field(2), ppid: field(5) };
    default:
      return undefined;
  }
}

/** A string that ends at its first NUL; bytes that are no UTF-8 become U+FFFD. */
function text(words: Uint32Array, at: number, bytes: number): string {
  const raw = Buffer.from(words.buffer, words.byteOffset + 4 * at, bytes);
  const end = raw.indexOf(0);
  return raw.toString('utf8', 0, end < 0 ? bytes : end);
}
