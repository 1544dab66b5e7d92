/** µs since a time on the clock of `performance.now()`. */
export function since(begun: number): number {
  return 1000 * (performance.now() - begun);
}
