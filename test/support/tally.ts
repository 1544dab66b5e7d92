/*
 * What one subscriber was told, held against what another one was told by another helper.
 */
import type { StreamEvent } from '@procbus/client';
import { expect } from 'vitest';

type Lost = StreamEvent & { type: 'lost' };

/** Names that processes take where the part begins, and ends, that is held against each other. */
export const [begin, end] = ['tally-begin', 'tally-end'];

/** Whether the end has been told. */
export function hasEnd(events: readonly StreamEvent[]): boolean {
  return placeOf(end, events) >= 0;
}

/** The losses that were told. */
export function lossesOf(events: readonly StreamEvent[]): Lost[] {
  return events.filter((event): event is Lost => event.type === 'lost');
}

/** How many events were told to be lost. */
export function lostIn(events: readonly StreamEvent[]): number {
  return lossesOf(events).reduce((sum, { count }) => sum + count, 0);
}

/**
 * How many events a subscriber was not told, of all; fails where one was told that did not happen, or too often.
 *
 * @param helpers - pids of the helpers of `told`, who leave out what they call themselves
 */
export function missingFrom(
  told: readonly StreamEvent[],
  all: readonly StreamEvent[],
  helpers: readonly number[],
): { missing: number; total: number } {
  expect(lossesOf(all)).toEqual([]);
  const [some, every] = [countsOf(told, helpers), countsOf(all, helpers)];
  const tooMany = [...some].filter(([key, count]) => count > (every.get(key) ?? 0));
  expect(tooMany).toEqual([]);
  const total = sumOf(every);
  return { missing: total - sumOf(some), total };
}

/** How often each thing has happened between begin and end. */
function countsOf(events: readonly StreamEvent[], helpers: readonly number[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const event of events.slice(placeOf(begin, events) + 1, placeOf(end, events))) {
    if (event.type === 'lost' || event.synthetic === true) continue;
    if (event.type === 'comm' && helpers.includes(event.pid)) continue;
    const key = `${event.type} ${event.pid} ${event.tid}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

const sumOf = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((a, b) => a + b, 0);

function placeOf(name: string, events: readonly StreamEvent[]): number {
  return events.findIndex((event) => event.type === 'comm' && event.process.comm === name);
}
