/*
 * test/programs/listener.py: a minimal listener that shares no code with procbus.
 */
import type { EventType } from '@procbus/client';
import { inRepository, Program } from './program.ts';

/** `type pid tid` of one event. */
export type Key = string;

/** What happened between two markers. */
export interface Heard {
  /** Events of processes and of threads, in order. */
  readonly events: readonly { type: EventType; pid: number; tid: number }[];
  readonly dropped: number;
}

export class Listener {
  readonly #program = new Program('python3', [inRepository('test/programs/listener.py')]);

  static async start(): Promise<Listener> {
    const listener = new Listener();
    await listener.#program.says('ready');
    return listener;
  }

  /** Ends it; returns all it heard. */
  async stop(): Promise<Heard> {
    this.#program.child.stdin?.end('\n');
    await this.#program.ended;
    const report = this.#program.stdout.slice('ready\n'.length);
    const { events, dropped } = JSON.parse(report) as {
      events: [EventType, number, number][];
      dropped: number;
    };
    return { events: events.map(([type, pid, tid]) => ({ type, pid, tid })), dropped };
  }
}

/** Names an event, to compare what two listeners heard. */
export function key(event: { type: string; pid: number; tid: number }): Key {
  return `${event.type} ${event.pid} ${event.tid}`;
}

/** What lies between the exit of one marker process and the fork of another. */
export function between<E extends { type: string; pid?: number }>(
  events: readonly E[],
  first: number,
  last: number,
): E[] {
  const start = events.findIndex(({ type, pid }) => type === 'exit' && pid === first);
  const end = events.findLastIndex(({ type, pid }) => type === 'fork' && pid === last);
  if (start < 0 || end < 0) throw new Error('a marker is missing');
  return events.slice(start + 1, end);
}
