import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseSince } from '../src/cli/since.ts';

const zone = process.env['TZ'];
beforeEach(() => {
  process.env['TZ'] = 'Europe/Berlin'; // one hour ahead of UTC in winter
});
afterEach(() => {
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});

const now = new Date('2026-11-22T10:30:15.500Z'); // 11:30 in Berlin

/** A place as text: a cursor, or a time in UTC. */
function since(text: string, at = now): string {
  const place = parseSince('--since', text, at);
  return typeof place === 'string' ? place : place.toISOString();
}

describe('a place to begin at', () => {
  test.each([
    ['0123456789abcdef:4711', '0123456789abcdef:4711'],
    ['a1:0', 'a1:0'],
  ])('is a cursor: %s', (text, cursor) => {
    expect(since(text)).toBe(cursor);
  });

  test.each([
    ['30s', '2026-11-22T10:29:45.500Z'],
    ['250ms', '2026-11-22T10:30:15.250Z'],
    ['1.5h', '2026-11-22T09:00:15.500Z'],
    ['2d', '2026-11-20T10:30:15.500Z'],
  ])('is so long ago: %s', (text, time) => {
    expect(since(text)).toBe(time);
  });

  test.each([
    ['10:15', '2026-11-22T09:15:00.000Z'],
    ['9:05', '2026-11-22T08:05:00.000Z'],
    ['11:30', '2026-11-22T10:30:00.000Z'],
    ['11:30:15', '2026-11-22T10:30:15.000Z'],
    ['00:00', '2026-11-21T23:00:00.000Z'],
  ])('is a time of this day, where we are: %s', (text, time) => {
    expect(since(text)).toBe(time);
  });

  test.each([
    ['11:31', '2026-11-21T10:31:00.000Z'],
    ['11:30:16', '2026-11-21T10:30:16.000Z'],
    ['23:59', '2026-11-21T22:59:00.000Z'],
  ])('is a time of yesterday if it is still to come: %s', (text, time) => {
    expect(since(text)).toBe(time);
  });

  test('is a time of yesterday also on the day after the clocks were changed', () => {
    const monday = new Date('2026-03-30T06:00:00Z'); // Sunday had 23 hours.
    expect(since('12:00', monday)).toBe('2026-03-29T10:00:00.000Z');
    const first = new Date('2026-03-01T06:00:00Z');
    expect(since('12:00', first)).toBe('2026-02-28T11:00:00.000Z');
  });

  test.each([
    ['2026-11-22T10:15', '2026-11-22T09:15:00.000Z'],
    ['2026-11-22 10:15', '2026-11-22T09:15:00.000Z'],
    ['2026-11-22 10:15:30', '2026-11-22T09:15:30.000Z'],
    ['2026-11-22T10:15:30.123456', '2026-11-22T09:15:30.123Z'],
    ['2026-11-22T10:15:30Z', '2026-11-22T10:15:30.000Z'],
    ['2026-11-22T10:15:30.812649Z', '2026-11-22T10:15:30.812Z'],
    ['2026-11-22T10:15+05:30', '2026-11-22T04:45:00.000Z'],
    ['2026-07-22 10:15', '2026-07-22T08:15:00.000Z'],
    ['2026-11-22', '2026-11-21T23:00:00.000Z'],
  ])('is a date, where we are unless it says otherwise: %s', (text, time) => {
    expect(since(text)).toBe(time);
  });

  test.each([
    '',
    'yesterday',
    '10',
    '10:1',
    '24:00',
    '10:60',
    '10:15:60',
    '10:15:30.5',
    '2026-11-31',
    '2026-02-29T10:15',
    '2026-11-22T25:00',
    '2026-11-22T10',
    '22.11.2026',
    'A1:5',
    'a1:05',
    'a1:-5',
    'a1:99999999999999999',
    '10:15 x',
  ])('is nothing else: "%s"', (text) => {
    expect(() => since(text)).toThrow(
      expect.objectContaining({
        code: 'usage',
        message: expect.stringContaining(`--since ${text}: `) as unknown,
      }),
    );
  });

  test.each(['2026-11-23', '2026-11-22T11:31', '2027-01-01T00:00Z'])('lies not in the future: %s', (text) => {
    expect(() => since(text)).toThrow('is still to come');
  });

  test.each(['0s', '10x', '-5s', '99999999d'])('is not %s ago', (text) => {
    expect(() => since(text)).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});
