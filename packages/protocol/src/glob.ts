/*
 * Patterns with wildcards, matched against names and command lines.
 *
 * A pattern is written by a client and matched by a privileged helper, against very many texts, so its
 * cost must not be the writer's choice. A matcher that tries one way after another, as is usual, gives it
 * away: there are patterns that make it try all of them at every character. Here all ways are followed at
 * once, as the bits of a few words (Shift-And, with loops for stars). The invariant: with some of the text
 * read, bit i is set if the first i tokens of the pattern, stars not counted, can match exactly that. One
 * more character moves each bit up by one, where the next token takes it, and leaves it as well where a
 * star follows the token.
 *
 * So the work is a few operations a character for each 32 tokens, 9 times at most, whatever pattern and
 * text are. The price is tables, up to 21 KB of them for the worst of patterns, and that nothing but a
 * star repeats: no alternatives, no groups. Plain text with a star at an end or both, which most patterns
 * are, is left to the string methods of the runtime.
 *
 * Both sides are read by code points, so `?` takes a character, and never half of one.
 */
import { ProcbusError } from './errors.ts';
import { parseGlob, type GlobToken } from './glob-pattern.ts';

export { maxGlobLength } from './glob-pattern.ts';

/** A checked pattern, ready to be matched; from {@link compileGlob}. */
export type Glob = SimpleGlob | GeneralGlob;

/** A pattern that is plain text, but for a star at either end or both. */
export interface SimpleGlob {
  /** The pattern as it was written. */
  readonly pattern: string;
  /** Where in the matched texts the plain text is. */
  readonly kind: 'literal' | 'prefix' | 'suffix' | 'contains';
  /** The plain text. */
  readonly text: string;
}

/** Any other pattern, as an automaton. It has state: it is for one match at a time. */
export interface GeneralGlob {
  /** The pattern as it was written. */
  readonly pattern: string;
  readonly kind: 'general';
  /** First code points of the classes: characters that no token tells apart, one behind the other. */
  readonly classes: Uint32Array;
  /** For each ASCII character the row of its class. */
  readonly asciiRows: Uint16Array;
  /** For each class a row of words: bit i, if token i - 1 takes its characters. */
  readonly takes: Int32Array;
  /** One row: bit i, if a star follows the first i tokens. */
  readonly stays: Int32Array;
  /** One row: the state, overwritten by each match. */
  readonly state: Int32Array;
  /** In the last word of the state, the bit for all tokens. */
  readonly matched: number;
  /** Whether a star is the last, so that the rest of a text does not matter. */
  readonly open: boolean;
}

/**
 * The longest text that is searched for by the runtime. Its search is linear in practice, but not by
 * contract: V8's is not beyond 250 characters. This bounds what there is to lose.
 */
const maxContainsLength = 64;

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
  const parsed = parseGlob(pattern);
  return typeof parsed === 'string' ? parsed : undefined;
}

/**
 * Prepares a pattern for {@link globMatches}.
 *
 * @param field - where the pattern is from; errors begin with it
 * @throws ProcbusError `bad-filter`, with the reason of {@link checkGlob}
 */
export function compileGlob(pattern: string, field: string): Glob {
  const tokens = parseGlob(pattern);
  if (typeof tokens === 'string') throw new ProcbusError('bad-filter', `${field}: the pattern ${tokens}`);
  return compileSimple(pattern, tokens) ?? compileGeneral(pattern, tokens);
}

/** `undefined`, if the pattern is not a simple one. */
function compileSimple(pattern: string, tokens: readonly GlobToken[]): SimpleGlob | undefined {
  const starFirst = tokens[0] === '*';
  const starLast = tokens.length > 1 && tokens.at(-1) === '*';
  const plain = tokens.slice(starFirst ? 1 : 0, starLast ? -1 : undefined);
  const points = plain.filter((token) => typeof token === 'number');
  if (points.length < plain.length) return undefined;
  // As a pattern has no half characters, its text is not found in the midst of one.
  const text = String.fromCodePoint(...points);
  if (!starFirst) return { pattern, kind: starLast ? 'prefix' : 'literal', text };
  if (!starLast) return { pattern, kind: 'suffix', text };
  return points.length > maxContainsLength ? undefined : { pattern, kind: 'contains', text };
}

function compileGeneral(pattern: string, tokens: readonly GlobToken[]): GeneralGlob {
  const takers = tokens.filter((token) => token !== '*');
  const words = Math.floor(takers.length / 32) + 1;
  const stays = new Int32Array(words);
  let taken = 0;
  for (const token of tokens) {
    if (token === '*') setBit(stays, 0, taken);
    else taken++;
  }
  // A class begins where some token may begin to take characters or cease to; any of it tells for all.
  const classes = Uint32Array.from(new Set([0, ...takers.flatMap(edges)])).toSorted();
  const takes = new Int32Array(classes.length * words);
  classes.forEach((point, index) => {
    takers.forEach((token, i) => {
      if (accepts(token, point)) setBit(takes, index * words, i + 1);
    });
  });
  return {
    pattern,
    kind: 'general',
    classes,
    asciiRows: Uint16Array.from({ length: 128 }, (_, point) => classOf(classes, point) * words),
    takes,
    stays,
    state: new Int32Array(words),
    matched: 1 << (takers.length % 32),
    open: tokens.at(-1) === '*',
  };
}

function setBit(words: Int32Array, row: number, bit: number): void {
  const word = row + (bit >>> 5);
  words[word] = (words[word] ?? 0) | (1 << (bit % 32));
}

type Taker = Exclude<GlobToken, '*'>;

/** The code points where what a token takes may differ from what it makes of the one before. */
function edges(token: Taker): number[] {
  if (typeof token === 'number') return [token, token + 1];
  return token === '?' ? [] : token.ranges.flatMap(([first, last]) => [first, last + 1]);
}

function accepts(token: Taker, point: number): boolean {
  if (typeof token === 'number') return token === point;
  if (token === '?') return true;
  return token.ranges.some(([first, last]) => first <= point && point <= last) !== token.negated;
}

/** The index of the last class that begins at a code point or before. */
function classOf(classes: Uint32Array, point: number): number {
  let low = 0;
  let end = classes.length;
  while (end - low > 1) {
    const middle = (low + end) >>> 1;
    if ((classes[middle] ?? 0) <= point) low = middle;
    else end = middle;
  }
  return low;
}

/** Tells whether a pattern matches the whole of a text, in time linear in the text. */
export function globMatches(glob: Glob, text: string): boolean {
  switch (glob.kind) {
    case 'literal':
      return text === glob.text;
    case 'prefix':
      return text.startsWith(glob.text);
    case 'suffix':
      return text.endsWith(glob.text);
    case 'contains':
      return text.includes(glob.text);
    case 'general':
      return run(glob, text);
  }
}

function run({ classes, asciiRows, takes, stays, state, matched, open }: GeneralGlob, text: string): boolean {
  const words = state.length;
  for (let word = 1; word < words; word++) state[word] = 0;
  state[0] = 1;
  for (let at = 0; at < text.length; at++) {
    let row: number;
    const unit = text.charCodeAt(at);
    if (unit < 128) {
      row = asciiRows[unit] ?? 0;
    } else {
      // A surrogate without its other half is a character of its own.
      const point = text.codePointAt(at) ?? 0;
      if (point > 0xffff) at++;
      row = classOf(classes, point) * words;
    }
    let carry = 0;
    let any = 0;
    let now = 0;
    for (let word = 0; word < words; word++) {
      const before = state[word] ?? 0;
      now = (((before << 1) | carry) & (takes[row + word] ?? 0)) | (before & (stays[word] ?? 0));
      state[word] = now;
      carry = before >>> 31;
      any |= now;
    }
    if (any === 0) return false;
    if (open && (now & matched) !== 0) return true;
  }
  return ((state[words - 1] ?? 0) & matched) !== 0;
}
