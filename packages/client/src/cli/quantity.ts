/*
 * Counts, rates and bytes, as they are shown. Scaled to a few digits, as `df -h` does.
 */

const powersOf1000 = ['', 'k', 'M', 'G', 'T'];
const powersOf1024 = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A count to its last digit: `1,234,567`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** How many a second: `0/s`, `0.5/s`, `12.3/s`, `4.2k/s`. */
export function formatRate(perSecond: number): string {
  if (perSecond === 0) return '0/s';
  const power = powerOf(perSecond, 1000, powersOf1000);
  return `${digits(perSecond / 1000 ** power)}${powersOf1000[power]}/s`;
}

/** Bytes: `640 B`, `12.3 KiB`, `128 MiB`. */
export function formatBytes(bytes: number): string {
  const power = powerOf(bytes, 1024, powersOf1024);
  return `${power === 0 ? Math.round(bytes) : digits(bytes / 1024 ** power)} ${powersOf1024[power]}`;
}

/** Bytes beside the most that there may be, in the unit of that: `3.2 of 16.0 MiB`. */
export function formatShare(bytes: number, limit: number): string {
  const power = powerOf(limit, 1024, powersOf1024);
  return `${power === 0 ? Math.round(bytes) : digits(bytes / 1024 ** power)} of ${formatBytes(limit)}`;
}

/** Which power of a base a value is told in, so that rounding does not reach the next one. */
function powerOf(value: number, base: number, units: readonly string[]): number {
  let power = 0;
  while (power < units.length - 1 && value >= (base - 0.5) * base ** power) power++;
  return power;
}

function digits(value: number): string {
  return value.toFixed(value < 99.95 ? 1 : 0);
}
