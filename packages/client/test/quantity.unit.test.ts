import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatBytes, formatCount, formatRate, formatShare } from '../src/cli/quantity.ts';

describe('bytes', () => {
  test.each<[number, string]>([
    [0, '0 B'],
    [640, '640 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1023.6 * 1024, '1.0 MiB'],
    [12.34 * 2 ** 20, '12.3 MiB'],
    [99.96 * 2 ** 20, '100 MiB'],
    [128 * 2 ** 20, '128 MiB'],
    [2 ** 30, '1.0 GiB'],
    [5000 * 2 ** 40, '5000 TiB'],
  ])('%d are shown as %s', (bytes, shown) => {
    expect(formatBytes(bytes)).toBe(shown);
  });

  test.each<[number, number, string]>([
    [0, 16 * 2 ** 20, '0.0 of 16.0 MiB'],
    [3.21 * 2 ** 20, 16 * 2 ** 20, '3.2 of 16.0 MiB'],
    [2 ** 30, 2 ** 30, '1.0 of 1.0 GiB'],
    [3, 500, '3 of 500 B'],
  ])('%d of %d are shown as %s', (bytes, limit, shown) => {
    expect(formatShare(bytes, limit)).toBe(shown);
  });

  test('are shown as what they are, to a twentieth', () => {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 49 }), (bytes) => {
        const [, number = '', unit = ''] = /^(\d{1,4}|\d{1,2}\.\d) (\w+)$/.exec(formatBytes(bytes)) ?? [];
        const shown = Number(number) * 1024 ** units.indexOf(unit);
        expect(Math.abs(shown - bytes)).toBeLessThanOrEqual(0.05 * bytes);
      }),
    );
  });
});

describe('a rate', () => {
  test.each<[number, string]>([
    [0, '0/s'],
    [0.31, '0.3/s'],
    [12, '12.0/s'],
    [999.4, '999/s'],
    [999.5, '1.0k/s'],
    [4213, '4.2k/s'],
    [12_345_678, '12.3M/s'],
  ])('of %d a second is shown as %s', (rate, shown) => {
    expect(formatRate(rate)).toBe(shown);
  });
});

test('a count is shown to its last digit', () => {
  expect(formatCount(0)).toBe('0');
  expect(formatCount(1_234_567)).toBe('1,234,567');
});
