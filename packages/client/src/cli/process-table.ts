/*
 * Processes as a table for people. Pure: the same processes give the same lines.
 */
import type { Include, ProcessRecord } from '@procbus/protocol';
import { commandOf } from './command-line.ts';
import { clip } from './display-width.ts';
import { formatDuration } from './duration.ts';
import { extrasOf } from './extras.ts';
import type { Cell, LineStyle } from './line.ts';
import { printable } from './printable.ts';
import { forest, type Branch } from './process-tree.ts';
import { renderTable, type Column } from './table.ts';

/** How a table of processes should look. */
export interface TableStyle extends LineStyle {
  /** Whether to draw who is whose child. */
  readonly tree: boolean;
  /** What to show behind the command; what has a column of its own is not shown twice. */
  readonly include?: readonly Include[] | undefined;
}

interface ProcessColumn extends Column {
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
} as const satisfies Record<string, ProcessColumn>;

/** A title and a line for each process, without line ends. Columns that say nothing are left out. */
export function renderProcesses(processes: readonly ProcessRecord[], style: TableStyle): string[] {
  const { pid, ppid, user, age, end, container, command } = columns;
  const shown: ProcessColumn[] = [pid, ppid, user, age];
  if (processes.some(hasEnded)) shown.push(end);
  if (processes.some((process) => process.container !== undefined)) shown.push(container);
  shown.push(command);

  const beside = style.include?.filter((name) => !(name in columns)) ?? [];
  const branches = style.tree ? forest(processes) : processes.map((process) => ({ process, prefix: '' }));
  return renderTable(
    shown,
    branches.map((branch) => rowOf(branch, shown, beside)),
    style,
  );
}

function rowOf(branch: Branch, shown: readonly ProcessColumn[], beside: readonly Include[]): Cell[] {
  // What has ended stands back behind what lives.
  const colour = hasEnded(branch.process) ? 'dim' : undefined;
  const cells = shown.map(({ cell }): Cell => ({ colour, ...cell(branch) }));
  return [...cells, { text: extrasOf(branch.process, beside), colour: 'dim' }];
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
