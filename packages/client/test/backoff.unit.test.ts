import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { backoff, pause } from '../src/backoff.ts';

describe('a wait before trying again', () => {
  test('doubles from 100 to 200 ms on, up to 5 s', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 2000].map((attempt) => backoff(attempt, 0))).toEqual([
      200, 400, 800, 1600, 3200, 5000, 5000, 5000,
    ]);
    expect([1, 2, 6, 2000].map((attempt) => backoff(attempt, 1))).toEqual([100, 200, 2500, 2500]);
  });

  test('is not the same for all', () => {
    const waits = Array.from({ length: 1000 }, () => backoff(3));
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(400);
    expect(Math.max(...waits)).toBeLessThanOrEqual(800);
    expect(new Set(waits).size).toBeGreaterThan(100);
  });
});

describe('a pause', () => {
  test('is ended by its signal, with the reason, and leaves nothing on it', async () => {
    const controller = new AbortController();
    const paused = pause(60_000, controller.signal);
    controller.abort('enough');
    await expect(paused).rejects.toBe('enough');
    await expect(pause(60_000, controller.signal)).rejects.toBe('enough');
    const { signal } = new AbortController();
    await pause(1, signal);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});
