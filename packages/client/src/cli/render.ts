/*
 * Events as lines for people. Pure: the same event gives the same line.
 */
import type {
  ExitEvent,
  LostEvent,
  LostWhere,
  ProcessEvent,
  ProcessInfo,
  StreamEvent,
} from '@procbus/protocol';
import { commandLine, commandOf } from './command-line.ts';
import { clip } from './display-width.ts';
import { formatDuration } from './duration.ts';
import { extrasOf } from './extras.ts';
import { renderCells, type Cell, type Colour, type LineStyle } from './line.ts';
import { printable } from './printable.ts';

/** How lines of events should look. */
export interface EventStyle extends LineStyle {
  /** Whether to show thread ids beside pids. */
  readonly threads: boolean;
}

const colours: Record<StreamEvent['type'], Colour> = {
  fork: 'cyan',
  exec: 'green',
  exit: 'blue',
  uid: 'magenta',
  gid: 'magenta',
  sid: 'magenta',
  ptrace: 'yellow',
  comm: 'gray',
  coredump: 'red',
  lost: 'red',
};

/** Where events were lost, if it is known how many, and if not. */
const places: Record<LostWhere, readonly [known: string, unknown: string]> = {
  kernel: ['the kernel’s queue was full', 'on their way from the kernel'],
  queue: ['read too slowly', 'read too slowly'],
  journal: ['no longer in the journal', 'not in the journal'],
};

/** Columns of a name: the kernel keeps 15 bytes. */
const commWidth = 15;
/** Columns of a command where it is not what the line is about. */
const asideWidth = 60;

/** One aligned line for an event, without a line end: local time, type, pid, who it is, what happened. */
export function renderLine(event: StreamEvent, style: EventStyle): string {
  const start: Cell[] = [
    { text: localTime(event.time), colour: 'dim' },
    { text: event.type, colour: colours[event.type], width: 8 },
  ];
  if (event.type === 'lost') {
    return renderCells([...start, { text: lossOf(event), colour: 'red' }], style);
  }
  const id = style.threads && event.tid !== event.pid ? `${event.pid}/${event.tid}` : String(event.pid);
  const cells = [...start, { text: id, width: style.threads ? 15 : 7 }, ...describe(event)];
  const more = extrasOf(event.process);
  if (more !== '') cells.push({ text: more, colour: 'dim' });
  return renderCells(cells, style);
}

function lossOf({ where, count }: LostEvent): string {
  const [known, unknown] = places[where];
  if (count === 0) return `events lost, nobody can say how many: ${unknown}`;
  return `${count} ${count === 1 ? 'event' : 'events'} lost: ${known}`;
}

function describe(event: ProcessEvent): Cell[] {
  const found: Cell[] = event.synthetic === true ? [{ text: '(found after loss)', colour: 'yellow' }] : [];
  // A command may be longer than the line: what else there is to say comes first.
  if (event.type === 'exec') return [...found, ...commandCells(event.process)];
  const who: Cell = { text: nameOf(event.process), width: commWidth };
  if (event.type === 'exit') return [who, ...exitCells(event, found)];
  return [who, { text: whatOf(event) }, ...found];
}

/** What was run, or how much of it is not known. */
function commandCells(process: ProcessInfo): Cell[] {
  if (process.args !== undefined) return [{ text: commandOf(process) }];
  const name = nameOf(process);
  if (process.detail === 'gone') {
    // Then the name is that of the program before.
    return [{ text: '?' }, { text: `(gone before it was read; it was ${name})`, colour: 'dim' }];
  }
  return [{ text: `[${name}]` }, { text: '(arguments unknown)', colour: 'dim' }];
}

function exitCells(event: ExitEvent, found: readonly Cell[]): Cell[] {
  if (event.tid !== event.pid) return [{ text: 'thread ended' }, ...found];
  const { runtime, process } = event;
  const after = runtime === undefined ? '' : ` after ${formatDuration(runtime)}`;
  const cells: Cell[] = [{ ...endOf(event, after), width: 'exit 127 after 98.8ms'.length }, ...found];
  // Arguments that say no more than the name does are left out.
  if (process.args !== undefined && process.args.length > 0 && commandLine(process.args) !== process.comm) {
    cells.push({ text: clip(commandOf(process), asideWidth), colour: 'dim' });
  }
  return cells;
}

function endOf(event: ExitEvent, after: string): Cell {
  if (event.signal !== undefined) {
    const core = event.coreDumped ? ' (core dumped)' : '';
    return { text: `killed by ${event.signal}${core}${after}`, colour: 'red' };
  }
  if (event.exitCode === undefined) return { text: `ended${after}` };
  return { text: `exit ${event.exitCode}${after}`, colour: event.exitCode === 0 ? undefined : 'yellow' };
}

function whatOf(event: Exclude<ProcessEvent, { type: 'exec' | 'exit' }>): string {
  const isThread = event.tid !== event.pid;
  switch (event.type) {
    case 'fork': {
      if (isThread) return 'new thread';
      const parent = event.parent === undefined ? '' : ` ${nameOf(event.parent)}`;
      return `child of ${event.ppid}${parent}`;
    }
    case 'uid':
      return `user ${event.uid}, effective ${event.euid}`;
    case 'gid':
      return `group ${event.gid}, effective ${event.egid}`;
    case 'sid':
      return 'new session';
    case 'ptrace':
      return event.tracerPid === 0 ? 'no longer traced' : `traced by ${event.tracerPid}`;
    case 'comm':
      return `named ${printable(event.comm)}`;
    case 'coredump':
      return isThread ? `dumps core, thread ${event.tid} at fault` : 'dumps core';
  }
}

/** The name of a process; a question mark where it is not known. */
function nameOf({ comm }: ProcessInfo): string {
  return comm === '' ? '?' : printable(comm);
}

/** The time of day in the local time zone, with the event's microseconds. */
function localTime(iso: string): string {
  const date = new Date(iso);
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) =>
    String(part).padStart(2, '0'),
  );
  return `${clock.join(':')}.${iso.slice(20, 26)}`;
}
