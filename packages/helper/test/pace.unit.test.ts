import fc from 'fast-check';
import { expect, test } from 'vitest';
import { longestRest, Pace } from '../src/kernel/pace.ts';

/** Batches of so many events, each some ms after we could have taken it; returns how long we rested after each. */
function rests(batches: readonly { pause: number; events: number }[], pace = new Pace(0)): number[] {
  let now = 0;
  return batches.map(({ pause, events }) => {
    now += pause;
    const rest = pace.after(events, now);
    now += rest;
    return rest;
  });
}

test('a batch every now and then goes out at once', () => {
  const batches = Array.from({ length: 1000 }, () => ({ pause: 5, events: 1 }));
  expect(rests(batches).every((rest) => rest === 0)).toBe(true);
});

test('the few batches of a command on a quiet machine go out at once', () => {
  const command = [1000, 0.3, 0.5, 0, 0, 2, 0, 0].map((pause) => ({ pause, events: 1 }));
  const batches = Array.from({ length: 100 }, () => command).flat();
  expect(rests(batches).every((rest) => rest === 0)).toBe(true);
});

test('in a storm there is a rest after each batch, until one brings next to nothing', () => {
  const storm = Array.from({ length: 1000 }, () => ({ pause: 0, events: 150 }));
  const all = rests([...storm, { pause: 0, events: 2 }, { pause: 1, events: 1 }]);
  expect(all.slice(100, 1000)).toEqual(Array.from({ length: 900 }, () => longestRest));
  expect(all[1000]).toBe(0);
});

test('who wants to be told sooner has us rest for less, but not for nothing', () => {
  for (const [patience, rest] of [
    [10, 10],
    [0, 5],
    [1000, longestRest],
  ] as const) {
    const pace = new Pace(0);
    pace.patience = patience;
    const storm = Array.from({ length: 100 }, () => ({ pause: 0, events: 150 }));
    expect(rests(storm, pace).at(-1)).toBe(rest);
  }
});

test('whatever comes, no rest is longer than the longest, and batches stay rare', () => {
  const batch = fc.record({ pause: fc.double({ min: 0, max: 50, noNaN: true }), events: fc.nat(300) });
  fc.assert(
    fc.property(fc.array(batch, { minLength: 1, maxLength: 300 }), (batches) => {
      const all = rests(batches);
      for (const rest of all) expect(rest).toBeLessThanOrEqual(longestRest);
      const span =
        batches.reduce((sum, { pause }) => sum + pause, 0) + all.reduce((sum, rest) => sum + rest, 0);
      // Of each two in a row under load, one at least is paid for by a rest or a token.
      expect(batches.length).toBeLessThanOrEqual(2 * (16 + span * 0.5 + 1));
    }),
  );
});
