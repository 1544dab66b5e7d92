import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatCursor, parseCursor } from '../src/cursor.ts';
import { isErrorCode, ProcbusError } from '../src/errors.ts';
import { cursor } from './arbitraries.ts';

test('a cursor is written as its epoch and its number, with a colon between', () => {
  expect(formatCursor({ epoch: '8f3a61c20b9d47e5', seq: 4711 })).toBe('8f3a61c20b9d47e5:4711');
});

test('a cursor is read as it was written', () => {
  fc.assert(
    fc.property(cursor, (place) => {
      expect(parseCursor(formatCursor(place))).toEqual(place);
    }),
  );
});

test.each(['a:0', `${'z'.repeat(64)}:1`, `0:${Number.MAX_SAFE_INTEGER}`])(
  'a cursor at a limit is read: %s',
  (text) => {
    expect(formatCursor(parseCursor(text))).toBe(text);
  },
);

test.each([
  '',
  ':',
  '8f3a',
  '8f3a:',
  ':4711',
  '8f3a:4711:1',
  '8f3a:-1',
  '8f3a:+1',
  '8f3a:04711',
  '8f3a:1.5',
  '8f3a:1e3',
  '8f3a:0x10',
  '8f3a:٣',
  '8F3A:4711',
  '8f-3a:4711',
  ' 8f3a:4711',
  '8f3a:4711\n',
  '8f3a: 4711',
  '8f3a:9007199254740992',
  `8f3a:${'9'.repeat(400)}`,
  `${'z'.repeat(65)}:1`,
])('what is no cursor is refused: %j', (text) => {
  expect(() => parseCursor(text)).toThrow(expect.objectContaining({ code: 'bad-message' }));
});

test('any text is a cursor in the one form it has, or refused', () => {
  const nearly = fc.stringMatching(/^[0-9a-zA-Z: -]{0,12}:[0-9:.-]{0,20}$/);
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), nearly), (text) => {
      let read: string;
      try {
        read = formatCursor(parseCursor(text));
      } catch (error) {
        expect(error).toBeInstanceOf(ProcbusError);
        expect(isErrorCode((error as ProcbusError).code)).toBe(true);
        return;
      }
      expect(read).toBe(text);
    }),
    { numRuns: 2000 },
  );
});

test('a long text that is no cursor is not repeated whole', () => {
  const text = 'x'.repeat(60_000);
  expect(() => parseCursor(text)).toThrow(`"${'x'.repeat(100)}" is no cursor`);
});
