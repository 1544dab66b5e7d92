/*
 * How far a subscription has come, by what it was told.
 */
import { expect } from 'vitest';
import type { Message } from './raw-client.ts';

/**
 * Follows the cursor of a subscription, and checks that it never goes back and that nothing comes behind it.
 *
 * @param start - the `seq` that the subscription begins behind
 * @returns the sequence number that the cursor has come to
 */
export function followCursor(received: readonly Message[], subscription: number, start: number): number {
  let cursor = start;
  let isFirst = true;
  for (const message of received) {
    if (message[1] !== subscription) continue;
    if (message[0] === 'events') {
      const [, , seq, , events] = message as [string, number, number, bigint, [string, number][]];
      for (const [, number] of events) {
        expect(number).toBeGreaterThan(cursor);
        expect(number).toBeLessThanOrEqual(seq);
      }
      expect(seq).toBeGreaterThanOrEqual(cursor);
      cursor = seq;
    } else if (message[0] === 'lost') {
      const [from, to] = message.slice(6) as [number, number];
      // A replay may begin with a loss at the cursor itself.
      expect(from).toBeGreaterThan(isFirst ? cursor - 1 : cursor);
      cursor = Math.max(cursor, to);
    } else continue;
    isFirst = false;
  }
  return cursor;
}
