import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `probe` gives something; fails, saying what was waited for, after a deadline in ms. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  deadline = 30_000,
): Promise<T> {
  const end = Date.now() + deadline;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`waited ${deadline} ms in vain for ${what}`);
    await sleep(10);
  }
}
