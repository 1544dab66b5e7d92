/*
 * How many columns of a terminal a text takes. Good enough to align and to cut: what terminals
 * themselves disagree on, such as joined emoji, is counted by its parts.
 */

const ascii = /^[\x20-\x7e]*$/;
const none = /^[\p{Mn}\p{Me}]$/u;
const halfWidth = /^[\uff61-\uffdc]$/;
const wide =
  /^[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Yi}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]$/u;

/** Columns that a text of printable characters takes. */
export function displayWidth(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOf(character);
  return width;
}

/** A text cut to a width, with a `…` in the place of what is left out. */
export function clip(text: string, width: number): string {
  // No character takes more columns than twice its length.
  if (2 * text.length <= width) return text;
  let used = 0;
  let at = 0;
  let cutAt = 0;
  for (const character of text) {
    used += widthOf(character);
    if (used > width) return width > 0 ? `${text.slice(0, cutAt)}…` : '';
    at += character.length;
    if (used < width) cutAt = at;
  }
  return text;
}

/** Fills a text up with spaces. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const fill = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'left' ? text + fill : fill + text;
}

function widthOf(character: string): number {
  if (ascii.test(character)) return 1;
  if (none.test(character)) return 0;
  return wide.test(character) && !halfWidth.test(character) ? 2 : 1;
}
