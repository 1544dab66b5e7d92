/*
 * Events as lines for people. Pure: the same event gives the same line.
 */
import { styleText } from 'node:util';
import type { LostWhere, ProcessEvent, StreamEvent } from '@procbus/protocol';

/** How lines should look. */
export interface LineStyle {
  readonly colour: boolean;
  /** Whether to show thread ids beside pids. */
  readonly threads: boolean;
}

type Colour = Parameters<typeof styleText>[0];

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

const places: Record<LostWhere, string> = {
  kernel: 'the kernel’s queue was full',
  queue: 'read too slowly',
};

/** One aligned line for an event, without a line end: local time, type, pid, and what happened. */
export function renderLine(event: StreamEvent, style: LineStyle): string {
  const paint = (colour: Colour, text: string): string =>
    style.colour ? styleText(colour, text, { validateStream: false }) : text;
  const time = paint('dim', localTime(event.time));
  const type = paint(colours[event.type], event.type.padEnd(8));
  if (event.type === 'lost') {
    const what =
      event.count === 0
        ? 'events lost, nobody knows how many: the kernel had stopped telling them'
        : `${event.count} ${event.count === 1 ? 'event' : 'events'} lost: ${places[event.where]}`;
    return `${time}  ${type}  ${paint('red', what)}`;
  }
  const id = style.threads && event.tid !== event.pid ? `${event.pid}/${event.tid}` : String(event.pid);
  const what = describe(event, paint);
  const start = `${time}  ${type}  `;
  return what === '' ? `${start}${id}` : `${start}${id.padEnd(style.threads ? 15 : 7)}  ${what}`;
}

function describe(event: ProcessEvent, paint: (colour: Colour, text: string) => string): string {
  const isThread = event.tid !== event.pid;
  switch (event.type) {
    case 'fork':
      return isThread ? 'new thread' : `child of ${event.ppid}`;
    case 'exec':
      return '';
    case 'exit':
      if (isThread) return 'thread ended';
      if (event.signal !== undefined) {
        return paint('red', `killed by ${event.signal}${event.coreDumped ? ' (core dumped)' : ''}`);
      }
      return event.exitCode === 0 ? 'exit 0' : paint('yellow', `exit ${event.exitCode}`);
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

/** A text from anywhere, safe for a terminal: control and formatting characters are escaped. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}\\]/gu, (character) => {
    if (character === '\\') return '\\\\';
    const code = character.codePointAt(0) ?? 0;
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** The time of day in the local time zone, with the event's microseconds. */
function localTime(iso: string): string {
  const date = new Date(iso);
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) =>
    String(part).padStart(2, '0'),
  );
  return `${clock.join(':')}.${iso.slice(20, 26)}`;
}
