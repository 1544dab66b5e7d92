/*
 * A check: one thing that has to be right, what is known of it, and what would help.
 */

/** How a check came out; `skip` where it cannot be told, or does not matter here. */
export type Status = 'ok' | 'warn' | 'fail' | 'skip';

/** The result of a check. */
export interface Check {
  /** For programs; it stays the same. */
  readonly name: string;
  readonly status: Status;
  /** The facts, in a short sentence without a full stop. May hold what somebody else has written. */
  readonly what: string;
  /** What would help, where something would. */
  readonly remedy?: string;
}

/** The worst of some results: what there is to be said of all together. */
export function verdictOf(checks: readonly Check[]): Exclude<Status, 'skip'> {
  const order = ['fail', 'warn'] as const;
  return order.find((status) => checks.some((check) => check.status === status)) ?? 'ok';
}
