/*
 * A line of cells: aligned, cut to a width, and painted, in this order.
 */
import { styleText } from 'node:util';
import { clip, displayWidth, pad } from './display-width.ts';

/** A colour or a style of `util.styleText`. */
export type Colour = Parameters<typeof styleText>[0];

/** A piece of a line, of printable characters only. */
export interface Cell {
  readonly text: string;
  readonly colour?: Colour | undefined;
  /** Columns that it takes at least. */
  readonly width?: number | undefined;
  readonly align?: 'left' | 'right' | undefined;
}

/** How lines should look. */
export interface LineStyle {
  readonly colour: boolean;
  /** Columns that there are; a line that is longer is cut. By default nothing is cut. */
  readonly width?: number | undefined;
}

const gap = '  ';

/** Cells in one line without a line end. Empty ones at its end leave no spaces behind. */
export function renderCells(cells: readonly Cell[], { colour: colours, width }: LineStyle): string {
  const last = cells.findLastIndex(({ text }) => text !== '');
  let left = width ?? Infinity;
  let line = '';
  for (const [index, cell] of cells.slice(0, last + 1).entries()) {
    const isLast = index === last;
    const full = isLast && cell.align !== 'right' ? cell.text : pad(cell.text, cell.width ?? 0, cell.align);
    const text = index === 0 ? full : gap + full;
    // Behind all but the last there has to be room for a mark that says that there is more.
    const fits = clip(text, isLast ? left : left - 1) === text;
    const shown = fits ? text : clip(`${text}…`, left);
    line += colours && cell.colour !== undefined ? painted(shown, cell.colour) : shown;
    if (!fits) break;
    left -= width === undefined ? 0 : displayWidth(text);
  }
  return line;
}

function painted(text: string, colour: Colour): string {
  // Whether there are to be colours has been decided, wherever they go.
  return styleText(colour, text, { validateStream: false });
}
