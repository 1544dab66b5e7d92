import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkGlob, compileGlob, globMatches, maxGlobLength, type Glob } from '../src/glob.ts';

const matches = (pattern: string, text: string): boolean => globMatches(compileGlob(pattern), text);

/** What a pattern is made of, for the reference: pieces as they are written. */
type Piece =
  | { readonly is: 'star' | 'any' }
  | { readonly is: 'character'; readonly character: string }
  | { readonly is: 'set'; readonly negated: boolean; readonly ranges: readonly [string, string][] };

const point = (character: string): number => character.codePointAt(0) ?? -1;

/** The reference: the meaning of each piece, tried in every way there is. */
function means([piece, ...pieces]: readonly Piece[], text: readonly string[]): boolean {
  if (piece === undefined) return text.length === 0;
  const [first, ...rest] = text;
  switch (piece.is) {
    case 'star':
      return means(pieces, text) || (first !== undefined && means([piece, ...pieces], rest));
    case 'any':
      return first !== undefined && means(pieces, rest);
    case 'character':
      return first === piece.character && means(pieces, rest);
    case 'set': {
      if (first === undefined) return false;
      const within = piece.ranges.some(
        ([from, to]) => point(from) <= point(first) && point(first) <= point(to),
      );
      return within !== piece.negated && means(pieces, rest);
    }
  }
}

/** A piece as one writes it; every character may be escaped, and some have to be. */
function written(piece: Piece): string {
  switch (piece.is) {
    case 'star':
      return '*';
    case 'any':
      return '?';
    case 'character':
      return escaped(piece.character);
    case 'set': {
      const items = piece.ranges.map(([from, to]) =>
        from === to ? escaped(from) : `${escaped(from)}-${escaped(to)}`,
      );
      return `[${piece.negated ? '!' : ''}${items.join('')}]`;
    }
  }
}

const escaped = (character: string): string => (/[*?[\]\\!-]/.test(character) ? `\\${character}` : character);

/** Few, so that they meet: two letters, what is special, and two characters that share a surrogate. */
const character = fc.constantFrom('a', 'b', '/', '*', '?', '[', ']', '!', '-', '\\', '😀', '😁');
const range = fc
  .tuple(character, character)
  .map(([a, b]): [string, string] => (point(a) <= point(b) ? [a, b] : [b, a]));
const piece: fc.Arbitrary<Piece> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Piece>({ is: 'star' }) },
  { weight: 1, arbitrary: fc.constant<Piece>({ is: 'any' }) },
  { weight: 5, arbitrary: fc.record({ is: fc.constant('character' as const), character }) },
  {
    weight: 2,
    arbitrary: fc.record({
      is: fc.constant('set' as const),
      negated: fc.boolean(),
      ranges: fc.array(range, { minLength: 1, maxLength: 3 }),
    }),
  },
);

/** Texts in characters, many of them the same, so that stars have work. */
const texts = fc.array(
  fc.oneof({ weight: 3, arbitrary: fc.constant('a') }, { weight: 2, arbitrary: character }),
  {
    maxLength: 10,
  },
);

describe('a pattern', () => {
  test('matches what a naive matcher finds to match', () => {
    const pieces = fc.array(piece, { minLength: 1, maxLength: 7 });
    fc.assert(
      fc.property(pieces, texts, (pattern, text) => {
        expect(matches(pattern.map(written).join(''), text.join(''))).toBe(means(pattern, text));
      }),
      { numRuns: 20_000 },
    );
  });

  test('of stars, question marks and two letters matches what a naive matcher finds to match', () => {
    const small: Record<string, Piece> = {
      a: { is: 'character', character: 'a' },
      b: { is: 'character', character: 'b' },
      '*': { is: 'star' },
      '?': { is: 'any' },
    };
    const letters = fc.array(fc.constantFrom('a', 'b'), { maxLength: 12 });
    const pattern = fc.array(fc.constantFrom('a', 'b', '*', '*', '?'), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(pattern, letters, (symbols, text) => {
        const pieces = symbols.flatMap((symbol) => small[symbol] ?? []);
        expect(matches(symbols.join(''), text.join(''))).toBe(means(pieces, text));
      }),
      { numRuns: 20_000 },
    );
  });

  test.each<[string, string, boolean]>([
    ['nginx', 'nginx', true],
    ['nginx', 'nginx2', false],
    ['nginx', 'Nginx', false],
    ['*', '', true],
    ['*', '/usr/bin/nginx', true],
    ['?', '', false],
    ['/usr/*', '/usr/bin/nginx', true],
    ['/usr/*', '/usr', false],
    ['*/nginx', '/usr/sbin/nginx', true],
    ['*/nginx', 'nginx', false],
    ['*/bin/*', '/usr/bin/env', true],
    ['/usr/*bin/[a-m]*', '/usr/sbin/cron', true],
    ['/usr/*bin/[!a-m]*', '/usr/sbin/cron', false],
    ['**a**', 'a', true],
    ['a*b*c', 'abbbcbc', true],
    ['a*b*c', 'abbbcb', false],
    ['[abc]', 'b', true],
    ['[abc]', 'ab', false],
    ['[!abc]', '/', true],
    ['[!abc]', '', false],
    ['[a-]', '-', true],
    ['[-a]', '-', true],
    ['[a-c-e]', '-', true],
    ['[a-c-e]', 'd', false],
    ['[a!]', '!', true],
    ['[^a]', '^', true],
    ['[^a]', 'b', false],
    ['[[]', '[', true],
    [String.raw`[\]]`, ']', true],
    [String.raw`[\!a]`, '!', true],
    [String.raw`[a\-z]`, 'b', false],
    [String.raw`[a\-z]`, '-', true],
    ['a]', 'a]', true],
    [String.raw`\*`, '*', true],
    [String.raw`\*`, 'a', false],
    [String.raw`\a\\`, 'a\\', true],
    [String.raw`*\*`, 'a*', true],
    [String.raw`\**`, '*a', true],
    ['a.c', 'abc', false],
    ['a\nb*', 'a\nbc', true],
    ['?', '\n', true],
  ])('%j on %j: %s', (pattern, text, matched) => {
    expect(matches(pattern, text)).toBe(matched);
  });
});

describe('a character', () => {
  test('is a whole one, also beyond U+FFFF', () => {
    expect(matches('?', '😀')).toBe(true);
    expect(matches('??', '😀')).toBe(false);
    expect(matches('*??', '😀')).toBe(false);
    expect(matches('*?', '😀')).toBe(true);
    expect(matches('[😀-😂]', '😁')).toBe(true);
    expect(matches('[!😀]', '😁')).toBe(true);
    expect(matches('*[!😀]', '😀')).toBe(false);
    expect(matches('😀*', '😀a')).toBe(true);
    expect(matches('*😁', 'a😁')).toBe(true);
    expect(matches('a*😁?', 'a😀😁😂')).toBe(true);
  });

  test('may be half of one in a text, and matches as one then', () => {
    expect(matches('?', '\ud83d')).toBe(true);
    expect(matches('a?', 'a\ude00')).toBe(true);
    expect(matches('??', '\ude00\ud83d')).toBe(true);
    expect(matches('😀*', '\ud83d')).toBe(false);
    expect(matches('*?a', '\ud83da')).toBe(true);
  });
});

describe('a pattern that is wrong', () => {
  test.each<[string, string]>([
    ['', 'is empty'],
    ['a'.repeat(maxGlobLength + 1), 'is longer than 256 characters'],
    ['😀'.repeat(maxGlobLength + 1), 'is longer than 256 characters'],
    ['*'.repeat(10_000_000), 'is longer than 256 characters'],
    ['a\ud83d', 'has half of a character in it, a single surrogate'],
    ['\ude00*', 'has half of a character in it, a single surrogate'],
    ['a\\', String.raw`ends in a \ with nothing behind it; write \\ for a plain one`],
    [String.raw`a\\` + '\\', String.raw`ends in a \ with nothing behind it; write \\ for a plain one`],
    ['[', String.raw`has a [ that no ] closes; write \[ for a plain one`],
    ['[!', String.raw`has a [ that no ] closes; write \[ for a plain one`],
    ['a[bc', String.raw`has a [ that no ] closes; write \[ for a plain one`],
    ['[a-', String.raw`has a [ that no ] closes; write \[ for a plain one`],
    ['[a\\', String.raw`has a [ that no ] closes; write \[ for a plain one`],
    [String.raw`[a\]`, String.raw`has a [ that no ] closes; write \[ for a plain one`],
    ['[]', String.raw`has a set with nothing in it; write \[ for a plain [`],
    ['[!]', String.raw`has a set with nothing in it; write \[ for a plain [`],
    ['[]a]', String.raw`has a set with nothing in it; write \[ for a plain [`],
    ['[z-a]', 'has a range in [ ] that runs backwards'],
  ])('is refused with a reason: %.20s', (pattern, reason) => {
    expect(checkGlob(pattern)).toBe(reason);
    expect(() => compileGlob(pattern)).toThrow(
      expect.objectContaining({ name: 'ProcbusError', code: 'bad-filter', message: `the pattern ${reason}` }),
    );
  });

  test('is told from a good one before it is compiled, whatever it is', () => {
    const anything = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.constantFrom('[', ']', '\\', '-', '!', '*', 'a', '\ud83d')).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(anything, anything, (pattern, text) => {
        if (checkGlob(pattern) === undefined) expect(typeof matches(pattern, text)).toBe('boolean');
        else expect(() => compileGlob(pattern)).toThrow('the pattern ');
      }),
      { numRuns: 5000 },
    );
  });

  test('is one character longer than the longest good one', () => {
    expect(checkGlob('a'.repeat(maxGlobLength))).toBeUndefined();
    expect(checkGlob('😀'.repeat(maxGlobLength))).toBeUndefined();
  });
});

describe('matching', () => {
  test.each<[string, Glob['kind']]>([
    ['nginx', 'literal'],
    [String.raw`a\*`, 'literal'],
    ['*', 'prefix'],
    ['/usr/*', 'prefix'],
    ['/usr/***', 'prefix'],
    ['*.service', 'suffix'],
    ['*a*', 'general'],
    ['a?', 'general'],
    ['?*', 'general'],
    ['[a]', 'general'],
  ])('is one comparison where it can be: %s', (pattern, kind) => {
    expect(compileGlob(pattern)).toMatchObject({ pattern, kind });
  });

  test.each<[string, string]>([
    ['letters', `${'*a'.repeat(127)}*b`],
    ['question marks', `${'*?'.repeat(127)}*b`],
    ['sets', `${'*[a]'.repeat(63)}*b`],
    ['a long set', `*[${'b'.repeat(250)}]b`],
    ['one long run', `*${'a'.repeat(254)}b`],
  ])('takes no longer for being hostile: %s', (_name, pattern) => {
    // With backtracking, none of these would end within the age of the universe, or of the runner.
    expect(matches(pattern, 'a'.repeat(4096))).toBe(false);
    expect(matches(`${pattern.slice(0, -1)}a`, 'a'.repeat(4096))).toBe(!pattern.includes('[b'));
  });
});
