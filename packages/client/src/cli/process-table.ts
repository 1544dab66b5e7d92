/*
 * Processes as a table for people. Pure: the same processes give the same lines.
 */
import type { ProcessRecord } from '@procbus/protocol';
import { commandOf } from './command-line.ts';
import { clip, displayWidth } from './display-width.ts';
import { formatDuration } from './duration.ts';
import { renderCells, type Cell, type LineStyle } from './line.ts';
import { printable } from './printable.ts';
import { forest, type Branch } from './process-tree.ts';

/** How a table of processes should look. */
export interface TableStyle extends LineStyle {
  /** Whether to draw who is whose child. */
  readonly tree: boolean;
}

interface Column {
  readonly title: string;
  readonly align?: 'right';
  readonly cell: (branch: Branch) => Cell;
}

/** Columns of the name of a user at most. */
const userWidth = 16;
/** As many characters of a container's id as container tools show. */
const containerIdLength = 12;

const columns = {
  pid: { title: 'PID', align: 'right', cell: ({ process }) => ({ text: String(process.pid) }) },
  ppid: { title: 'PPID', align: 'right', cell: ({ process }) => ({ text: String(process.ppid) }) },
  user: {
    title: 'USER',
    cell: ({ process: { user, uid } }) => ({ text: clip(printable(user ?? String(uid)), userWidth) }),
  },
  age: {
    title: 'AGE',
    align: 'right',
    cell: ({ process }) => ({ text: formatDuration(process.runtime) }),
  },
  end: { title: 'END', cell: ({ process }) => endOf(process) },
  container: {
    title: 'CONTAINER',
    cell: ({ process: { container } }) => ({
      text: container === undefined ? '-' : printable(container.slice(0, containerIdLength)),
    }),
  },
  command: {
    title: 'COMMAND',
    cell: ({ process, prefix }) => ({ text: prefix + commandOf(process) }),
  },
} as const satisfies Record<string, Column>;

/** A title and a line for each process, without line ends. Columns that say nothing are left out. */
export function renderProcesses(processes: readonly ProcessRecord[], style: TableStyle): string[] {
  const { pid, ppid, user, age, end, container, command } = columns;
  const shown: Column[] = [pid, ppid, user, age];
  if (processes.some(hasEnded)) shown.push(end);
  if (processes.some((process) => process.container !== undefined)) shown.push(container);
  shown.push(command);

  const branches = style.tree ? forest(processes) : processes.map((process) => ({ process, prefix: '' }));
  const title = shown.map((column): Cell => ({ text: column.title, colour: 'bold' }));
  const rows = [title, ...branches.map((branch) => rowOf(branch, shown))];
  // The last column is as wide as it is.
  const widths = shown.map((_, index) => (index === shown.length - 1 ? 0 : widest(rows, index)));
  return rows.map((row) =>
    renderCells(
      row.map((cell, index) => ({ ...cell, width: widths[index], align: shown[index]?.align })),
      style,
    ),
  );
}

function rowOf(branch: Branch, shown: readonly Column[]): Cell[] {
  // What has ended stands back behind what lives.
  const colour = hasEnded(branch.process) ? 'dim' : undefined;
  return shown.map(({ cell }) => ({ colour, ...cell(branch) }));
}

function widest(rows: readonly (readonly Cell[])[], index: number): number {
  let width = 0;
  for (const row of rows) width = Math.max(width, displayWidth(row[index]?.text ?? ''));
  return width;
}

function hasEnded({ endTime }: ProcessRecord): boolean {
  return endTime !== undefined;
}

/** How a process ended, where it has. */
function endOf(process: ProcessRecord): Cell {
  if (!hasEnded(process)) return { text: '-' };
  if (process.signal !== undefined) {
    return { text: process.coreDumped ? `${process.signal} (core)` : process.signal, colour: 'red' };
  }
  if (process.exitCode === undefined) return { text: 'ended' };
  return process.exitCode === 0 ? { text: 'exit 0' } : { text: `exit ${process.exitCode}`, colour: 'yellow' };
}
