import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchInterval, Pace } from '../src/kernel/pace.ts';

/** Takes turns at the given pauses, as the stream does: never before the last turn has come. */
function turns(pauses: readonly number[]): { asked: number; came: number }[] {
  const pace = new Pace(0);
  let now = 0;
  return pauses.map((pause) => {
    now += pause;
    const asked = now;
    now += pace.take(now);
    return { asked, came: now };
  });
}

test('a batch every now and then goes out at once', () => {
  const pauses = Array.from({ length: 1000 }, () => batchInterval);
  for (const { asked, came } of turns(pauses)) expect(came).toBe(asked);
});

test('the few batches of a command on a quiet machine go out at once', () => {
  const pauses = Array.from({ length: 100 }, () => [1000, 0.3, 0.5, 0, 0, 2, 0, 0]).flat();
  for (const { asked, came } of turns(pauses)) expect(came).toBe(asked);
});

test('in a storm batches come at intervals, and none waits longer than one', () => {
  const storm = turns(Array.from({ length: 1000 }, () => 0)).slice(100);
  storm.forEach(({ asked, came }, index) => {
    expect(came - asked).toBeLessThanOrEqual(batchInterval);
    if (index > 0) expect(came - (storm[index - 1]?.came ?? 0)).toBeGreaterThanOrEqual(batchInterval - 1);
  });
});

test('whatever comes, no turn waits longer than an interval, and they stay rare', () => {
  const pause = fc.double({ min: 0, max: 50, noNaN: true });
  fc.assert(
    fc.property(fc.array(pause, { minLength: 1, maxLength: 300 }), (pauses) => {
      const all = turns(pauses);
      for (const { asked, came } of all) expect(came - asked).toBeLessThanOrEqual(batchInterval);
      const span = all.at(-1)?.came ?? 0;
      expect(all.length).toBeLessThanOrEqual(16 + span / batchInterval + 1);
    }),
  );
});
