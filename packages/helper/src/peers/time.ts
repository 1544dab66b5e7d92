import { threadTime } from '../libc.ts';

/** µs of CPU time that were taken since a time of {@link threadTime}. */
export function takenSince(begun: number): number {
  return 1000 * (threadTime() - begun);
}
