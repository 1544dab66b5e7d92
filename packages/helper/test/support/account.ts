/*
 * What a subscription was told, held against what there was to tell.
 */
import { expect } from 'vitest';
import type { Message } from './raw-client.ts';

/** A hole that was told, by the names of the specification. */
export interface ToldLoss {
  readonly where: string;
  readonly count: number;
  readonly from: number;
  readonly to: number;
}

/** Sequence numbers and holes, in the order they were told. */
export function account(told: readonly Message[]): (number | ToldLoss)[] {
  return told.map((message) => {
    if (message[0] !== 'lost') return message[1] as number;
    const [, , , , where, count, from, to] = message as unknown as [
      ...unknown[],
      string,
      number,
      number,
      number,
    ];
    return { where, count, from, to } as ToldLoss;
  });
}

/** The holes of one kind. */
export function lossesOf(
  told: readonly (number | ToldLoss)[],
  where: 'kernel' | 'queue' | 'journal',
): ToldLoss[] {
  return told.filter((item): item is ToldLoss => typeof item !== 'number' && item.where === where);
}

/**
 * Checks that nothing that matched is missing untold, doubled or out of place.
 *
 * @param matching - the sequence numbers of all events that matched, ascending
 * @param dropped - how many events the kernel dropped meanwhile
 */
export function expectComplete(
  told: readonly (number | ToldLoss)[],
  matching: readonly number[],
  dropped: number,
): void {
  const seen = told.filter((item) => typeof item === 'number');
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  const seenOnce = new Set(seen);
  expect(seenOnce.size).toBe(seen.length);

  // Each hole is exactly what is missing in its range, and the holes are all that is missing.
  const missing = matching.filter((seq) => !seenOnce.has(seq));
  expect(seen.length + missing.length).toBe(matching.length);
  const holes = lossesOf(told, 'queue').map(({ from, to, count }) => {
    const inside = missing.filter((seq) => seq >= from && seq <= to);
    expect([inside[0], inside.at(-1), inside.length]).toEqual([from, to, count]);
    return inside;
  });
  expect(holes.flat()).toEqual(missing);
  expect(lossesOf(told, 'kernel').reduce((sum, { count }) => sum + count, 0)).toBe(dropped);

  // A hole stands behind all that came before it and before all that came behind it.
  let before = 0;
  let after = Infinity;
  const latest = told.map((item) => (before = Math.max(before, typeof item === 'number' ? item : 0)));
  const earliest = told.toReversed().map((item) => (after = typeof item === 'number' ? item : after));
  const misplaced = told.filter(
    (item, index) =>
      typeof item !== 'number' &&
      ((latest[index] as number) >= item.from || (earliest[told.length - 1 - index] as number) <= item.to),
  );
  expect(misplaced).toEqual([]);
}
