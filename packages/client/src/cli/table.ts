/*
 * A table: a title, and rows of cells in columns that are as wide as they have to be.
 */
import { displayWidth } from './display-width.ts';
import { renderCells, type Cell, type LineStyle } from './line.ts';

/** How the cells of a column are headed and aligned. */
export interface Column {
  readonly title: string;
  readonly align?: 'right';
}

/** A line for the titles and one for each row, without line ends. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  style: LineStyle,
): string[] {
  const title = columns.map((column): Cell => ({ text: column.title, colour: 'bold' }));
  const lines = [title, ...rows];
  // The last column is as wide as it is, unless it has to be filled up from the left.
  const widths = columns.map(({ align }, index) =>
    index === columns.length - 1 && align === undefined ? 0 : widest(lines, index),
  );
  return lines.map((line) =>
    renderCells(
      line.map((cell, index) => ({ ...cell, width: widths[index], align: columns[index]?.align })),
      style,
    ),
  );
}

function widest(rows: readonly (readonly Cell[])[], index: number): number {
  let width = 0;
  for (const row of rows) width = Math.max(width, displayWidth(row[index]?.text ?? ''));
  return width;
}
