import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPrintable, printable } from '../src/cli/printable.ts';

describe('hostile text', () => {
  test.each<[string, string, string]>([
    ['an escape', '\u001b[31mbad', String.raw`\x1b[31mbad`],
    ['a line end', 'a\nb\r', String.raw`a\x0ab\x0d`],
    ['a tab and a bell', '\t\u0007', String.raw`\x09\x07`],
    ['a delete', '\u007f', String.raw`\x7f`],
    ['a C1 control', '\u009b31m', String.raw`\x9b31m`],
    ['a right-to-left override', 'exe.\u202Etxt', String.raw`exe.\u{202e}txt`],
    ['an isolate', '\u2066a\u2069', String.raw`\u{2066}a\u{2069}`],
    ['a zero-width space', 'a\u200Bb', String.raw`a\u{200b}b`],
    ['a byte order mark', '\uFEFFa', String.raw`\u{feff}a`],
    ['a line separator', 'a\u2028b\u2029', String.raw`a\u{2028}b\u{2029}`],
    ['half a surrogate pair', 'a\uD800', String.raw`a\u{d800}`],
    ['the other half', '\uDFFFa', String.raw`\u{dfff}a`],
    ['a tag', '\u{E0041}', String.raw`\u{e0041}`],
    ['a private character', '\uE000', String.raw`\u{e000}`],
    ['a backslash', String.raw`\x1b`, String.raw`\\x1b`],
  ])('is escaped: %s', (_name, text, shown) => {
    expect(printable(text)).toBe(shown);
    expect(isPrintable(text)).toBe(text.includes('\\'));
  });

  test.each(['bash', 'Ünïcødé', '日本語', '🦊', '(sd-pam)', 'kworker/0:1-events', 'a b'])(
    'is not what people write: %s',
    (text) => {
      expect(printable(text)).toBe(text);
      expect(isPrintable(text)).toBe(true);
    },
  );

  test('never gets a control or formatting character through', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
    );
    fc.assert(
      fc.property(text, (hostile) => {
        expect(printable(hostile)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      }),
      { numRuns: 2000 },
    );
  });

  test('of two kinds never looks the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        fc.pre(a !== b);
        expect(printable(a)).not.toBe(printable(b));
      }),
    );
  });
});
