/*
 * procbusd and procbus as they are run for real.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StreamEvent } from '@procbus/client';
import { atEnd } from './lifetime.ts';
import { inRepository, Program } from './program.ts';

export const procbusd: string = inRepository('packages/helper/bin/procbusd.js');
export const procbus: string = inRepository('packages/client/bin/procbus.js');

/** A directory that anybody may enter, gone after the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'procbus-test-'));
  execFileSync('chmod', ['0755', directory]);
  atEnd(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A helper that listens. */
export interface RunningHelper {
  readonly program: Program;
  readonly socket: string;
}

/** Starts a helper at a socket of its own, and waits until it listens. */
export async function startHelper(...args: string[]): Promise<RunningHelper> {
  const socket = join(temporaryDirectory(), 'procbus.sock');
  const program = new Program(process.execPath, [
    procbusd,
    '--socket',
    socket,
    '--config',
    '/dev/null',
    ...args,
  ]);
  await program.says('listening');
  return { program, socket };
}

/** A `procbus watch --json` that is subscribed. */
export class Watcher extends Program {
  static async start(socket: string, ...args: string[]): Promise<Watcher> {
    const watcher = new Watcher(process.execPath, [procbus, 'watch', '--json', '--socket', socket, ...args]);
    await watcher.says('watching');
    return watcher;
  }

  #parsed: StreamEvent[] = [];

  /** All events so far. */
  get events(): StreamEvent[] {
    const { lines } = this;
    for (const line of lines.slice(this.#parsed.length)) this.#parsed.push(JSON.parse(line) as StreamEvent);
    return this.#parsed;
  }

  /** The events of one process so far. */
  of(pid: number): StreamEvent[] {
    return this.events.filter((event) => event.type !== 'lost' && event.pid === pid);
  }

  /** Whether the end of a process has been told. */
  hasEnded(pid: number): boolean {
    return this.of(pid).some((event) => event.type === 'exit' && event.pid === event.tid);
  }
}
