/*
 * The clocks, see clock_gettime(2). All times are in ns.
 */
import { checked, native } from './native.ts';

const c = {
  clockGettime: native<number>('int clock_gettime(int clock, void *time)'),
};

const timespec = new BigInt64Array(2);

/** clock_gettime(2), in ns. */
function clock(id: number): bigint {
  checked('clock_gettime', c.clockGettime(id, timespec));
  return (timespec[0] as bigint) * 1_000_000_000n + (timespec[1] as bigint);
}

/** CLOCK_MONOTONIC in ns: the clock of the kernel's timestamps, which is Node's as well. */
export function monotonicTime(): bigint {
  return process.hrtime.bigint();
}

/** The time of CPUs that the calling thread has taken, in ms: other than a clock, it stands still while others run. */
export function threadTime(): number {
  return Number(clock(3)) / 1e6;
}

/** µs that were taken since a time of {@link threadTime}. */
export function takenSince(begun: number): number {
  return 1000 * (threadTime() - begun);
}

/** What to add to a monotonic time, in ns, for the time since 1970. It changes when the clock is set. */
export function clockOffset(): bigint {
  return clock(0) - monotonicTime();
}

/** What to add to a monotonic time, in ns, for the time since boot: it also runs while suspended. */
export function bootOffset(): bigint {
  return clock(7) - monotonicTime();
}
