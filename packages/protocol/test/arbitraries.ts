/*
 * Anything the kernel and /proc could tell, and anything that could be asked for.
 */
import * as fc from 'fast-check';
import type { Cursor } from '../src/cursor.ts';
import type { KernelEvent } from '../src/event.ts';
import type { Circumstances, ProcessInfo, WireProcess } from '../src/process.ts';
import { lagPolicies, longestMaxDelay, type SubscribeOptions } from '../src/subscribe-options.ts';

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

/** Often 7, so that a process and a thread have the same id often enough. */
const idOrSeven = fc.oneof(fc.constant(7), id);

const stamp = { kernelTime, cpu: fc.integer({ min: 0, max: 8191 }), pid: idOrSeven, tid: idOrSeven };

/** An event of any type. */
export const kernelEvent: fc.Arbitrary<KernelEvent> = fc.oneof(
  fc.record({ type: fc.constant('fork'), ...stamp, ppid: id, ptid: id }),
  fc.record({ type: fc.constant('exec'), ...stamp }),
  fc.record({ type: fc.constant('exit'), ...stamp, status, ppid: idOrNone }),
  fc.record({ type: fc.constant('uid'), ...stamp, uid: userId, euid: userId }),
  fc.record({ type: fc.constant('gid'), ...stamp, gid: userId, egid: userId }),
  fc.record({ type: fc.constant('sid'), ...stamp }),
  fc.record({ type: fc.constant('ptrace'), ...stamp, tracerPid: idOrNone, tracerTid: idOrNone }),
  fc.record({ type: fc.constant('comm'), ...stamp, comm: fc.string({ unit: 'binary', maxLength: 15 }) }),
  fc.record({ type: fc.constant('coredump'), ...stamp, ppid: idOrNone }),
);

const text = fc.string({ unit: 'binary', maxLength: 20 });

const info = {
  id: text,
  comm: fc.string({ unit: 'binary', maxLength: 15 }),
  detail: fc.constantFrom('complete', 'partial', 'gone'),
  exe: text,
  args: fc.array(text, { maxLength: 4 }),
  argsTruncated: fc.constant(true),
  cwd: text,
  cgroup: text,
  container: text,
  user: text,
  ancestors: fc.array(fc.record({ pid: id, comm: text }), { maxLength: 4 }),
} as const;

/** What is told of a process, with any of what can be included. */
export const processInfo: fc.Arbitrary<ProcessInfo> = fc.record(info, {
  requiredKeys: ['id', 'comm', 'detail'],
});

/** What is told with an event, with any of what may be left out. */
export const circumstances: fc.Arbitrary<Circumstances> = fc.record(
  {
    process: processInfo,
    parent: processInfo,
    runtime: fc
      .double({ min: 0, noNaN: true, noDefaultInfinity: true })
      .filter((seconds) => !Object.is(seconds, -0)),
    synthetic: fc.constant(true),
  },
  { requiredKeys: ['process'] },
);

/** A process of a snapshot; one in two has ended. */
export const wireProcess: fc.Arbitrary<WireProcess> = fc.record(
  {
    ...info,
    pid: id,
    ppid: idOrNone,
    uid: userId,
    euid: userId,
    gid: userId,
    egid: userId,
    sid: idOrNone,
    tty: fc.integer({ min: 0, max: 0xfff_ffff }),
    startTime: fc.bigInt({ min: -(2n ** 55n), max: 2n ** 60n }),
    endTime: fc.bigInt({ min: 2n ** 60n, max: 2n ** 61n }),
    status,
  },
  {
    requiredKeys: [
      ...(['id', 'comm', 'detail', 'pid', 'ppid', 'uid', 'euid', 'gid', 'egid', 'sid', 'tty'] as const),
      'startTime',
    ],
  },
);

/** A place in the stream of any helper. */
export const cursor: fc.Arbitrary<Cursor> = fc.record({
  epoch: fc.stringMatching(/^[0-9a-z]{1,64}$/),
  seq: fc.maxSafeNat(),
});

const given = {
  maxDelay: fc.oneof(
    fc.integer({ min: 0, max: longestMaxDelay }),
    fc.double({ min: 0.001, max: longestMaxDelay, noNaN: true }),
  ),
  onLag: fc.constantFrom(...lagPolicies),
};

/** Options of a subscription, any of which may be left out. */
export const subscribeOptions: fc.Arbitrary<SubscribeOptions> = fc.oneof(
  fc.record({ ...given, since: cursor }, { requiredKeys: [] }),
  fc.record(
    { ...given, sinceTime: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) },
    { requiredKeys: [] },
  ),
);
