import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { displayWidth } from '../src/cli/display-width.ts';
import { wrap } from '../src/cli/wrap.ts';

test('a text is broken between words, as late as it can be', () => {
  expect(wrap('one two three four', 9)).toEqual(['one two', 'three', 'four']);
  expect(wrap('one two three four', 18)).toEqual(['one two three four']);
  expect(wrap('', 10)).toEqual(['']);
});

test('a word that is too long stays whole: it may be a path to be copied', () => {
  expect(wrap('at /run/procbus/procbus.sock it is', 10)).toEqual([
    'at',
    '/run/procbus/procbus.sock',
    'it is',
  ]);
});

test('characters that take two columns are counted as such', () => {
  expect(wrap('日本 日本', 8)).toEqual(['日本', '日本']);
  expect(wrap('日本 日本', 9)).toEqual(['日本 日本']);
});

test('nothing is left out, and only words are wider than asked for', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.integer({ min: 1, max: 80 }), (words, width) => {
      const text = words.join(' ');
      const lines = wrap(text, width);
      expect(lines.join(' ')).toBe(text);
      for (const line of lines) {
        expect(displayWidth(line) <= width || !line.trim().includes(' ')).toBe(true);
      }
    }),
  );
});
