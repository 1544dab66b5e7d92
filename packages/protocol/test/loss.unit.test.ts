import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { lostPlaces } from '../src/event.ts';
import { joinLosses, lossToEvent, type Loss } from '../src/loss.ts';
import { clockOffset, kernelTime } from './arbitraries.ts';

const loss = (where: Loss['where']): fc.Arbitrary<Loss> =>
  fc.record({
    where: fc.constant(where),
    count: fc.oneof(fc.constant(0), fc.nat()),
    from: fc.nat(),
    to: fc.nat(),
    kernelTime,
    clockOffset,
  });

test('two losses are told as one: counts add up, the range covers both, the time is the later one', () => {
  expect(
    joinLosses(
      { where: 'queue', count: 3, from: 10, to: 19, kernelTime: 1n, clockOffset: 100n },
      { where: 'queue', count: 4, from: 25, to: 40, kernelTime: 2n, clockOffset: 200n },
    ),
  ).toEqual({ where: 'queue', count: 7, from: 10, to: 40, kernelTime: 2n, clockOffset: 200n });
});

test.each(['kernel', 'journal'] as const)(
  'where nobody knows how many one of them in the %s was, nobody knows of both',
  (where) => {
    const known = { where, count: 3, from: 10, to: 12, kernelTime: 1n, clockOffset: 100n };
    const unknown = { where, count: 0, from: 20, to: 20, kernelTime: 2n, clockOffset: 100n };
    expect(joinLosses(known, unknown)).toEqual({ ...unknown, from: 10 });
    expect(joinLosses(unknown, { ...known, from: 30, to: 32 })).toMatchObject({ count: 0, from: 20, to: 32 });
  },
);

test.each(lostPlaces)('losses in the %s joined in whatever grouping come to the same', (where) => {
  fc.assert(
    fc.property(loss(where), loss(where), loss(where), (a, b, c) => {
      expect(joinLosses(joinLosses(a, b), c)).toEqual(joinLosses(a, joinLosses(b, c)));
    }),
  );
});

test('the event of a loss stands at the end of the hole', () => {
  expect(
    lossToEvent({
      where: 'kernel',
      count: 31,
      from: 10,
      to: 40,
      kernelTime: 2364689192613n,
      clockOffset: 1763824642123456789n,
    }),
  ).toEqual({
    type: 'lost',
    seq: 40,
    time: '2025-11-22T15:56:46.812649Z',
    kernelTime: '2364689192613',
    where: 'kernel',
    count: 31,
    from: 10,
    to: 40,
  });
});
