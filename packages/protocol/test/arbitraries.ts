/*
 * Anything the kernel could tell.
 */
import fc from 'fast-check';
import type { KernelEvent } from '../src/event.ts';

const id = fc.integer({ min: 1, max: 4_194_304 });
const idOrNone = fc.oneof(fc.constant(0), id);
const userId = fc.integer({ min: 0, max: 0xffff_ffff });
const status = fc.integer({ min: 0, max: 0xffff });

/** ns since boot; half of them beyond 2^53, where a number would not be exact. */
export const kernelTime: fc.Arbitrary<bigint> = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 53n }),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 62n }),
);

/** ns since 1970 at boot, until the year 2100. */
export const clockOffset: fc.Arbitrary<bigint> = fc.bigInt({ min: 0n, max: 4_102_444_800_000_000_000n });

/** Half of the events are of a main thread, half of another one. */
const who = fc.oneof(
  id.map((pid) => ({ pid, tid: pid })),
  fc.record({ pid: id, tid: id }),
);

const stamp = fc
  .record({ kernelTime, cpu: fc.integer({ min: 0, max: 8191 }), who })
  .map(({ who: ids, ...rest }) => ({ ...rest, ...ids }));

/** An event of any type. */
export const kernelEvent: fc.Arbitrary<KernelEvent> = fc.oneof(
  fc.tuple(stamp, id, id).map(([of, ppid, ptid]): KernelEvent => ({ ...of, type: 'fork', ppid, ptid })),
  stamp.map((of): KernelEvent => ({ ...of, type: 'exec' })),
  fc
    .tuple(stamp, status, idOrNone)
    .map(([of, code, ppid]): KernelEvent => ({ ...of, type: 'exit', status: code, ppid })),
  fc.tuple(stamp, userId, userId).map(([of, uid, euid]): KernelEvent => ({ ...of, type: 'uid', uid, euid })),
  fc.tuple(stamp, userId, userId).map(([of, gid, egid]): KernelEvent => ({ ...of, type: 'gid', gid, egid })),
  stamp.map((of): KernelEvent => ({ ...of, type: 'sid' })),
  fc
    .tuple(stamp, idOrNone, idOrNone)
    .map(([of, tracerPid, tracerTid]): KernelEvent => ({ ...of, type: 'ptrace', tracerPid, tracerTid })),
  fc
    .tuple(stamp, fc.string({ unit: 'binary', maxLength: 15 }))
    .map(([of, comm]): KernelEvent => ({ ...of, type: 'comm', comm })),
  fc.tuple(stamp, idOrNone).map(([of, ppid]): KernelEvent => ({ ...of, type: 'coredump', ppid })),
);
