/*
 * What somebody may have meant.
 */

/** So many characters may be wrong. */
const mostMistakes = 2;

/** The name that is spelt most like a word, unless none is like it. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const [best] = names
    .map((name) => ({ name, mistakes: mistakes(word.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, mistakes: count }) => count <= mostMistakes && count < name.length / 2)
    .toSorted((a, b) => a.mistakes - b.mistakes);
  return best?.name;
}

/** Characters to insert, delete, replace, or swap with their neighbour; those beyond the limit need not be counted. */
function mistakes(from: string, to: string): number {
  if (Math.abs(from.length - to.length) > mostMistakes) return Infinity;
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const next = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      const swapped = row > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      next[column] = Math.min(
        at(last, column) + 1,
        at(next, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
        swapped ? at(beforeLast, column - 2) + 1 : Infinity,
      );
    }
    [beforeLast, last] = [last, next];
  }
  return at(last, to.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}
