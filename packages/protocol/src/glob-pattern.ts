/*
 * The language of patterns: from text to tokens. What they match is in `glob.ts`.
 */

/** The longest pattern, in characters. */
export const maxGlobLength = 256;

/** A character by its code point, or a wildcard; a run of stars is one. */
export type GlobToken = number | '*' | '?' | GlobSet;

/** `[…]`: the characters in or, with `!`, not in any of the ranges. */
export interface GlobSet {
  readonly negated: boolean;
  /** Code points, first and last of each range. */
  readonly ranges: readonly (readonly [first: number, last: number])[];
}

const trailing = String.raw`ends in a \ with nothing behind it; write \\ for a plain one`;
const unclosed = String.raw`has a [ that no ] closes; write \[ for a plain one`;

/** The tokens of a pattern, or why there are none, in words that go on from "the pattern …". */
export function parseGlob(pattern: string): GlobToken[] | string {
  if (pattern === '') return 'is empty';
  // Of UTF-16 units there may be twice as many; megabytes are not spread out only to be refused.
  const characters = pattern.length > 2 * maxGlobLength ? undefined : Array.from(pattern);
  if (characters === undefined || characters.length > maxGlobLength) {
    return `is longer than ${maxGlobLength} characters`;
  }
  if (characters.some(isSurrogate)) return 'has half of a character in it, a single surrogate';

  const tokens: GlobToken[] = [];
  let at = 0;
  while (at < characters.length) {
    const character = characters[at];
    if (character === '*') {
      if (tokens.at(-1) !== '*') tokens.push('*');
      at++;
    } else if (character === '?') {
      tokens.push('?');
      at++;
    } else if (character === '[') {
      const parsed = parseSet(characters, at + 1);
      if (typeof parsed === 'string') return parsed;
      tokens.push(parsed.set);
      at = parsed.end;
    } else {
      const literal = literalAt(characters, at);
      if (literal === undefined) return trailing;
      tokens.push(literal.point);
      at = literal.end;
    }
  }
  return tokens;
}

/** Tells half a character, which stands alone, from a whole one of two halves. */
function isSurrogate(character: string): boolean {
  const point = character.codePointAt(0) ?? 0;
  return point >= 0xd800 && point <= 0xdfff;
}

/** The set whose `[` is right before `start`. */
function parseSet(characters: readonly string[], start: number): { set: GlobSet; end: number } | string {
  const ranges: [first: number, last: number][] = [];
  const negated = characters[start] === '!';
  let at = negated ? start + 1 : start;
  while (characters[at] !== ']') {
    const first = literalAt(characters, at);
    if (first === undefined) return unclosed;
    // A hyphen that is the first or the last of a set stands for itself.
    const isRange = characters[first.end] === '-' && characters[first.end + 1] !== ']';
    const last = isRange ? literalAt(characters, first.end + 1) : first;
    if (last === undefined) return unclosed;
    if (last.point < first.point) return 'has a range in [ ] that runs backwards';
    ranges.push([first.point, last.point]);
    at = last.end;
  }
  if (ranges.length === 0) return String.raw`has a set with nothing in it; write \[ for a plain [`;
  return { set: { negated, ranges }, end: at + 1 };
}

/** The character at an index, or the one that a `\` there escapes; `undefined` behind the end. */
function literalAt(characters: readonly string[], at: number): { point: number; end: number } | undefined {
  const index = characters[at] === '\\' ? at + 1 : at;
  const point = characters[index]?.codePointAt(0);
  return point === undefined ? undefined : { point, end: index + 1 };
}
