import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clip, displayWidth, pad } from '../src/cli/display-width.ts';
import { renderCells } from '../src/cli/line.ts';

describe('the width of a text', () => {
  test.each<[string, number]>([
    ['', 0],
    ['make -j4', 8],
    ['größe', 5],
    ['gro\u0308ße', 5],
    ['日本語', 6],
    ['한국어', 6],
    ['ｱｲｳ', 3],
    ['Ａ（', 4],
    ['🦊', 2],
    ['├─ …', 4],
  ])('of "%s" is %i', (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });
});

describe('a text that is cut', () => {
  test.each<[string, number, string]>([
    ['make', 4, 'make'],
    ['make all', 8, 'make all'],
    ['make all', 7, 'make a…'],
    ['make', 1, '…'],
    ['make', 0, ''],
    ['日本語', 6, '日本語'],
    ['日本語', 5, '日本…'],
    ['日本語', 4, '日…'],
    ['🦊🦊', 3, '🦊…'],
    ['o\u0308o\u0308o', 2, 'o\u0308…'],
  ])('"%s" to %i is "%s"', (text, width, cut) => {
    expect(clip(text, width)).toBe(cut);
  });

  test('fits, and is left as it is where it fits', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 0, max: 20 }), (text, width) => {
        const cut = clip(text, width);
        expect(displayWidth(cut)).toBeLessThanOrEqual(width);
        if (displayWidth(text) <= width) expect(cut).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  test('is filled up by what is seen of it, not by its length', () => {
    expect(pad('日本', 6)).toBe('日本  ');
    expect(pad('7', 3, 'right')).toBe('  7');
    expect(pad('long', 2)).toBe('long');
  });
});

describe('a line of cells', () => {
  const cells = [{ text: 'a', width: 3 }, { text: '7', width: 2, align: 'right' as const }, { text: 'rest' }];

  test('is aligned, and ends where its text does', () => {
    expect(renderCells(cells, { colour: false })).toBe('a     7  rest');
    expect(renderCells([...cells, { text: '', width: 9 }], { colour: false })).toBe('a     7  rest');
    expect(renderCells([{ text: 'a', width: 9 }], { colour: false })).toBe('a');
  });

  test('is cut, and painted then', () => {
    const red = cells.map((cell) => ({ ...cell, colour: 'red' as const }));
    expect(renderCells(cells, { colour: false, width: 11 })).toBe('a     7  r…');
    expect(renderCells(red, { colour: true, width: 4 })).toBe('\u001b[31ma  \u001b[39m\u001b[31m…\u001b[39m');
  });
});
