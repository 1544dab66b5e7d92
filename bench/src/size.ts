/*
 * How much is measured: enough for figures that hold or, with `--smoke`, just enough to see that it works.
 */

/** Whether only that is to be seen; then no target counts. */
export const isSmoke: boolean = process.argv.includes('--smoke');

/** A number for both cases. */
export function sized(full: number, smoke: number): number {
  return isSmoke ? smoke : full;
}
