import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../src/cli/duration.ts';

describe('a duration', () => {
  test.each<[number, string]>([
    [0, '0.00ms'],
    [0.000_321, '0.32ms'],
    [0.0988, '98.8ms'],
    [0.25, '250ms'],
    [0.9999, '1.00s'],
    [1.3244, '1.32s'],
    [59.94, '59.9s'],
    [59.99, '1m00s'],
    [182, '3m02s'],
    [3599.9, '1h00m'],
    [11_100, '3h05m'],
    [86_399.9, '1d00h'],
    [12 * 86_400 + 4 * 3600 + 3599, '12d04h'],
  ])('of %d s is shown as %s', (seconds, shown) => {
    expect(formatDuration(seconds)).toBe(shown);
  });

  test('is shown in a few characters, however long', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (seconds) => {
        expect(formatDuration(seconds)).toMatch(/^(\d+\.?\d*m?s|\d+m\d\ds|\d+h\d\dm|\d+d\d\dh)$/);
        expect(formatDuration(seconds).length).toBeLessThanOrEqual(9);
      }),
    );
  });

  test.each<[string, number]>([
    ['500ms', 500],
    ['0.5s', 500],
    ['10s', 10_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['30d', 2_592_000_000],
  ])('%s is read', (text, milliseconds) => {
    expect(parseDuration('--for', text)).toBe(milliseconds);
  });

  test.each(['', '5', 'soon', '-5s', '1.2.3s', '0s', '10 s', '1e3s'])(
    'is refused, naming the option: "%s"',
    (text) => {
      expect(() => parseDuration('--for', text)).toThrow(
        expect.objectContaining({
          code: 'usage',
          message: `--for ${text}: not a time, such as 500ms, 10s, 5m or 2h`,
        }),
      );
    },
  );

  test('that is longer than can be waited for is refused', () => {
    expect(() => parseDuration('--for', '30d', 2 ** 31 - 1)).toThrow('--for 30d: not a time up to 24 days');
    expect(() => parseDuration('--for', '11s', 10_000)).toThrow('--for 11s: not a time up to 10 seconds');
  });
});
