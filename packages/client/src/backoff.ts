/*
 * How long to wait before trying again: longer each time, and not as long as everybody else does.
 */
import { setTimeout as sleep } from 'node:timers/promises';

const shortest = 100;
const longest = 5000;

/**
 * The wait before an attempt, in ms, from 100 to 5000: it doubles with each, and chance takes up to a half
 * of it away, so that the clients of a helper that comes back do not all come at once.
 *
 * @param attempt - 1 for the first
 * @param chance - a number from 0 to 1
 */
export function backoff(attempt: number, chance: number = Math.random()): number {
  const most = Math.min(2 * shortest * 2 ** (attempt - 1), longest);
  return Math.round(most * (1 - chance / 2));
}

/** Waits some ms; rejects with the signal's reason as soon as it is aborted. */
export async function pause(wait: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(wait, undefined, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
