/*
 * Patterns with wildcards, matched against names and command lines.
 *
 * A pattern is written by a client and matched by a privileged helper, against very many texts, so its
 * cost must not be the writer's choice. Of the stars only the last one passed is remembered: an earlier
 * one need not take more, as the last can take whatever it would. Hence no recursion, and at most
 * pattern × text steps. The price is that nothing but a star repeats: no alternatives, no groups.
 *
 * Both sides are read by code points, so `?` takes a character, and never half of one.
 */
import { ProcbusError } from './errors.ts';

/** The longest pattern, in characters. */
export const maxGlobLength = 256;

/** A checked pattern, ready to be matched; from {@link compileGlob}. */
export interface Glob {
  /** The pattern as it was written. */
  readonly pattern: string;
  /** How to match: most patterns need no more than one comparison. */
  readonly kind: 'literal' | 'prefix' | 'suffix' | 'general';
  /** What to compare with; empty for a `general` one. */
  readonly text: string;
  /** One for each character, set or run of stars; empty for all but a `general` one. */
  readonly tokens: readonly GlobToken[];
}

/** A character by its code point, or a wildcard. */
export type GlobToken = number | '*' | '?' | GlobSet;

/** `[…]`: the characters in or, with `!`, not in any of the ranges. */
export interface GlobSet {
  readonly negated: boolean;
  /** Code points, first and last of each range. */
  readonly ranges: readonly (readonly [first: number, last: number])[];
}

/**
 * Tells what is wrong with a pattern, in words that go on from "the pattern …".
 *
 * In a pattern `*` stands for any characters, also none and also `/`; `?` for exactly one; `[abc]`,
 * `[a-z]` for one of these and `[!a-z]` for one that is not. `\` takes the next character as it is, also
 * in a set. Everything else stands for itself. The pattern has to match the whole text.
 *
 * @returns `undefined` for a good pattern
 */
export function checkGlob(pattern: string): string | undefined {
  const parsed = parse(pattern);
  return typeof parsed === 'string' ? parsed : undefined;
}

/**
 * Prepares a pattern for {@link globMatches}.
 *
 * @throws ProcbusError `bad-filter`, with the reason of {@link checkGlob}
 */
export function compileGlob(pattern: string, field: string): Glob {
  const tokens = parse(pattern);
  if (typeof tokens === 'string') throw new ProcbusError('bad-filter', `${field}: the pattern ${tokens}`);
  const wildcards = tokens.filter((token) => typeof token !== 'number');
  if (wildcards.length === 0) return simple(pattern, 'literal', tokens);
  if (wildcards.length === 1 && tokens.at(-1) === '*') return simple(pattern, 'prefix', tokens);
  if (wildcards.length === 1 && tokens[0] === '*') return simple(pattern, 'suffix', tokens);
  return { pattern, kind: 'general', text: '', tokens };
}

/** One comparison will do: as a pattern has no half characters, it matches none of a text. */
function simple(pattern: string, kind: Glob['kind'], tokens: readonly GlobToken[]): Glob {
  const points = tokens.filter((token) => typeof token === 'number');
  return { pattern, kind, text: String.fromCodePoint(...points), tokens: [] };
}

/** Tells whether a pattern matches the whole of a text, in at most pattern × text steps. */
export function globMatches(glob: Glob, text: string): boolean {
  switch (glob.kind) {
    case 'literal':
      return text === glob.text;
    case 'prefix':
      return text.startsWith(glob.text);
    case 'suffix':
      return text.endsWith(glob.text);
    case 'general':
      return matchTokens(glob.tokens, text);
  }
}

function matchTokens(tokens: readonly GlobToken[], text: string): boolean {
  let next = 0; // the token that has to match at `at`
  let at = 0;
  let star = -1; // the last star passed
  let starEnd = 0; // up to where it took the text
  while (at < text.length) {
    const token = tokens[next];
    if (token === '*') {
      if (next === tokens.length - 1) return true;
      star = next++;
      starEnd = at;
      continue;
    }
    const point = pointAt(text, at);
    if (token !== undefined && takes(token, point)) {
      next++;
      at += unitsOf(point);
      continue;
    }
    if (star < 0) return false;
    // The star takes one more, and what follows it is tried again.
    starEnd += unitsOf(pointAt(text, starEnd));
    at = starEnd;
    next = star + 1;
  }
  // Runs of stars are one token, so at most one is left that can do with nothing.
  if (tokens[next] === '*') next++;
  return next === tokens.length;
}

function takes(token: Exclude<GlobToken, '*'>, point: number): boolean {
  if (typeof token === 'number') return token === point;
  if (token === '?') return true;
  for (const [first, last] of token.ranges) {
    if (point >= first && point <= last) return !token.negated;
  }
  return token.negated;
}

/** The code point at an index within a text; a surrogate without its other half is one of its own. */
function pointAt(text: string, index: number): number {
  return text.codePointAt(index) ?? 0;
}

/** UTF-16 units that a code point takes up. */
function unitsOf(point: number): number {
  return point > 0xffff ? 2 : 1;
}

const trailing = String.raw`ends in a \ with nothing behind it; write \\ for a plain one`;
const unclosed = String.raw`has a [ that no ] closes; write \[ for a plain one`;

/** The tokens of a pattern, or why there are none. */
function parse(pattern: string): GlobToken[] | string {
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
  const point = pointAt(character, 0);
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
