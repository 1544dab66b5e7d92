import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkGlob, compileGlob, globMatches, maxGlobLength, type Glob } from '../src/glob.ts';

const matches = (pattern: string, text: string): boolean => globMatches(compileGlob(pattern, 'comm'), text);

/** What a pattern is made of, for the reference: pieces as they are written. */
type Piece =
  | { readonly is: 'star' | 'any' }
  | { readonly is: 'character'; readonly character: string }
  | { readonly is: 'set'; readonly negated: boolean; readonly ranges: readonly [string, string][] };

const point = (character: string): number => character.codePointAt(0) ?? -1;

/** The reference: piece by piece, every place in the text that the pieces so far can lead to. */
function means(pieces: readonly Piece[], text: string): boolean {
  const characters = Array.from(text);
  let places = new Set([0]);
  for (const piece of pieces) {
    const next = new Set<number>();
    for (const place of places) {
      const here = characters[place];
      if (piece.is === 'star') for (let to = place; to <= characters.length; to++) next.add(to);
      else if (here !== undefined && takes(piece, here)) next.add(place + 1);
    }
    places = next;
  }
  return places.has(characters.length);
}

function takes(piece: Piece, character: string): boolean {
  switch (piece.is) {
    case 'star':
    case 'any':
      return true;
    case 'character':
      return character === piece.character;
    case 'set': {
      const within = ([from, to]: [string, string]): boolean =>
        point(from) <= point(character) && point(character) <= point(to);
      return piece.ranges.some(within) !== piece.negated;
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

/** Few, so that they meet: two letters, what is special, and others, two of which share a surrogate. */
const specials = [
  'a',
  'b',
  '/',
  '*',
  '?',
  '[',
  ']',
  '!',
  '-',
  '\\',
  '\x7f',
  '\x80',
  'é',
  '\uffff',
  '😀',
  '😁',
];
const character = fc.constantFrom(...specials);
/** In a text there may be halves as well, which may meet and be a whole then. */
const textCharacter = fc.oneof(
  { weight: 5, arbitrary: fc.constant('a') },
  { weight: 3, arbitrary: character },
  { weight: 1, arbitrary: fc.constantFrom('\ud83d', '\ude00', '\ude01', '\u{10ffff}') },
);
const range = fc
  .tuple(character, character)
  .map(([a, b]): [string, string] => (point(a) <= point(b) ? [a, b] : [b, a]));
const anyPiece: fc.Arbitrary<Piece> = fc.oneof(
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

const anyText = fc.array(textCharacter, { maxLength: 10 }).map((characters) => characters.join(''));

/** Long patterns, each piece with what it takes of a text, so that long ones match too. */
const longPairs = fc.array(
  fc
    .tuple(
      fc.oneof(
        { weight: 5, arbitrary: character.map((c): Piece => ({ is: 'character', character: c })) },
        anyPiece,
      ),
      fc.array(textCharacter, { minLength: 1, maxLength: 3 }),
    )
    .map(([one, characters]): [Piece, string] => [one, example(one, characters)]),
  { minLength: 20, maxLength: 160 },
);

/** Characters that a piece takes; for a set maybe one that it does not. */
function example(one: Piece, characters: readonly string[]): string {
  if (one.is === 'star') return characters.join('');
  if (one.is === 'character') return one.character;
  return characters.find((c) => takes(one, c)) ?? specials.find((c) => takes(one, c)) ?? 'a';
}

describe('a pattern', () => {
  test('matches what a simple matcher finds to match', () => {
    const pieces = fc.array(anyPiece, { minLength: 1, maxLength: 7 });
    fc.assert(
      fc.property(pieces, anyText, (pattern, text) => {
        expect(matches(pattern.map(written).join(''), text)).toBe(means(pattern, text));
      }),
      { numRuns: 20_000 },
    );
  });

  test('of stars, question marks and two letters matches what a simple matcher finds to match', () => {
    const small: Record<string, Piece> = {
      a: { is: 'character', character: 'a' },
      b: { is: 'character', character: 'b' },
      '*': { is: 'star' },
      '?': { is: 'any' },
    };
    const letters = fc.array(fc.constantFrom('a', 'b'), { maxLength: 12 }).map((parts) => parts.join(''));
    const pattern = fc.array(fc.constantFrom('a', 'b', '*', '*', '?'), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(pattern, letters, (symbols, text) => {
        const pieces = symbols.flatMap((symbol) => small[symbol] ?? []);
        expect(matches(symbols.join(''), text)).toBe(means(pieces, text));
      }),
      { numRuns: 20_000 },
    );
  });

  test('that is long matches what a simple matcher finds to match', () => {
    const outcomes = { true: 0, false: 0 };
    fc.assert(
      fc.property(longPairs, fc.option(fc.nat(200)), (pairs, without) => {
        const pieces = pairs.map(([piece]) => piece);
        const pattern = pieces.map(written).join('');
        fc.pre(Array.from(pattern).length <= maxGlobLength);
        const text = pairs.map(([, taken], index) => (index === without ? '' : taken)).join('');
        const matched = matches(pattern, text);
        expect(matched).toBe(means(pieces, text));
        outcomes[`${matched}`]++;
      }),
      { numRuns: 2000 },
    );
    // Were nearly all outcomes the same, this would say little.
    expect(Math.min(outcomes.true, outcomes.false)).toBeGreaterThan(100);
  });

  test.each([1, 30, 31, 32, 33, 63, 64, 65, 127, 128, 254, 255])('of %d characters takes as many', (n) => {
    for (const one of ['?', 'a']) {
      const all = one.repeat(n);
      for (const text of ['a'.repeat(n - 1), 'a'.repeat(n), 'a'.repeat(n + 1)]) {
        expect(matches(`?${all}`, text)).toBe(text.length === n + 1);
        expect(matches(`*${all}`, text)).toBe(text.length >= n);
        expect(matches(`${all}*`, text)).toBe(text.length >= n);
        if (n < 255) expect(matches(`*${all}*`, text)).toBe(text.length >= n);
      }
    }
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
    expect(() => compileGlob(pattern, 'comm')).toThrow(
      expect.objectContaining({
        name: 'ProcbusError',
        code: 'bad-filter',
        message: `comm: the pattern ${reason}`,
      }),
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
        else expect(() => compileGlob(pattern, 'comm')).toThrow('comm: the pattern ');
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
    ['*', 'suffix'],
    ['a*', 'prefix'],
    ['/usr/*', 'prefix'],
    ['/usr/***', 'prefix'],
    ['*.service', 'suffix'],
    ['*a*', 'contains'],
    ['***a***', 'contains'],
    [`*${'a'.repeat(64)}*`, 'contains'],
    [`*${'a'.repeat(65)}*`, 'general'],
    ['a*a', 'general'],
    ['a?', 'general'],
    ['?*', 'general'],
    ['[a]', 'general'],
  ])('is left to the runtime where it can be: %s', (pattern, kind) => {
    expect(compileGlob(pattern, 'comm')).toMatchObject({ pattern, kind });
  });

  test('leaves nothing behind for the next', () => {
    const glob = compileGlob(`*a${'?'.repeat(40)}b`, 'comm');
    const long = `a${'-'.repeat(40)}b`;
    const texts = [long, '', long, long.slice(0, -1), 'b', long];
    expect(texts.map((text) => globMatches(glob, text))).toEqual([true, false, true, false, false, true]);
  });

  test.each<[string, string]>([
    ['letters', `${'*a'.repeat(127)}*b`],
    ['question marks', `${'*?'.repeat(127)}*b`],
    ['sets', `${'*[a]'.repeat(63)}*b`],
    ['a long set', `*[${'b'.repeat(250)}]b`],
    ['one long run', `*${'a'.repeat(254)}b`],
    ['one long run with a question mark', `*${'a'.repeat(250)}?b*b`],
    ['a letter in the way of a search', `*ab${'a'.repeat(250)}*b`],
  ])('follows all ways at once: %s', (_name, pattern) => {
    const text = 'a'.repeat(4096);
    expect(matches(pattern, text)).toBe(false);
    expect(matches(`${pattern.slice(0, -1)}a`, text)).toBe(!pattern.slice(0, -1).includes('b'));
    expect(matches(`${pattern.slice(0, -1)}a`, `${text}ab${text}`)).toBe(!pattern.includes('[b'));
  });
});
