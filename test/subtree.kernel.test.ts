/*
 * Subtrees: a process and all that descend from it, whoever their parents are by now, and nobody else.
 */
import { execFileSync } from 'node:child_process';
import { openSync, writeSync, closeSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessEvent, ProcessRecord, StreamEvent } from '@procbus/client';
import { expect, onTestFinished, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { procbus, startHelper, temporaryDirectory, Watcher } from './support/procbus.ts';
import { run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';
import { ShellWithPid, SteeredShell } from './support/steered-shell.ts';

kernelSuite('subtrees', [needsProgram('gcc')], () => {
  test('a daemon is seen from its fork to its end, and after the shell that began it has ended', async () => {
    const { socket } = await startHelper();
    const shell = new SteeredShell();
    const watcher = await Watcher.start(socket, '--subtree', String(shell.pid));
    const daemon = await Daemon.start(shell, watcher);

    daemon.tell('/bin/true');
    const first = await told(watcher, 'the daemon’s first child', isFork(daemon.pid));
    await until('its exit', () => watcher.hasEnded(first.pid));
    expect(parentsOf(daemon.pid)).not.toContain(shell.pid);
    expect((await ps(socket, shell.pid)).map(({ pid }) => pid).toSorted()).toEqual(
      [shell.pid, daemon.pid].toSorted(),
    );
    const { id } = (await ps(socket, shell.pid)).find(({ pid }) => pid === shell.pid) as ProcessRecord;

    await shell.leave();
    await until('the exit of the shell', () => watcher.hasEnded(shell.pid));
    daemon.tell('/bin/false');
    const second = await told(
      watcher,
      'a later child',
      (event) => isFork(daemon.pid)(event) && event !== first,
    );
    await until('its exit', () => watcher.hasEnded(second.pid));
    // As long as somebody watches, the subtree of a process that has ended can still be asked for.
    expect((await ps(socket, id)).map(({ pid }) => pid)).toEqual([daemon.pid]);
    daemon.tell(`exec setsid ${actor()} exit 7`);
    await until('the daemon’s exit', () => watcher.hasEnded(daemon.pid));

    expect(storyOf(watcher, daemon.pid)).toEqual(['fork', 'exec', 'exec', 'sid', 'exec', 'exit 7']);
    expect(storyOf(watcher, first.pid)).toEqual(['fork', 'exec', 'exit 0']);
    expect(storyOf(watcher, second.pid)).toEqual(['fork', 'exec', 'exit 1']);
    // The two whose only work it was to begin the daemon are of the subtree as well.
    expect(storyOf(watcher, daemon.beginner)).toEqual(['fork', 'sid', 'exit 0']);
    expect(storyOf(watcher, daemon.maker)).toEqual(['fork', 'exec', 'exit 0']);
    const pids = new Set(ofProcesses(watcher.events).map(({ pid }) => pid));
    const family = [shell.pid, daemon.maker, daemon.beginner, daemon.pid, first.pid, second.pid];
    expect([...pids].toSorted()).toEqual(family.toSorted());
  });

  test('a stranger with the pid of one that has ended is not of the subtree', async () => {
    const { socket } = await startHelper();
    const shell = new SteeredShell();
    const everything = await Watcher.start(socket);
    const watcher = await Watcher.start(socket, '--subtree', String(shell.pid));
    // What a shell runs in the background says which pid it has.
    const once = async (): Promise<number> => Number(await shell.does('/bin/true & wait; echo $!'));

    for (let repetition = 0; repetition < 10; repetition++) {
      const pid = await once();
      await until('its exit', () => watcher.hasEnded(pid) && everything.hasEnded(pid));
      const own = watcher.of(pid).length;
      const stranger = await takePid(pid);
      if (stranger === undefined) continue;
      stranger.child.stdin?.write('/bin/true\n');
      const child = await told(everything, 'the stranger’s child', isFork(pid));
      await until('its exit', () => everything.hasEnded(child.pid));
      const records = await ps(socket, shell.pid);
      expect(records.map((record) => record.pid)).toEqual([shell.pid]);
      stranger.child.stdin?.end();
      await until('the stranger’s exit', () => exitsOf(everything, pid) === 2);

      const marker = await once();
      await until('the marker', () => watcher.hasEnded(marker));
      expect(watcher.of(pid)).toHaveLength(own);
      expect(watcher.of(child.pid)).toEqual([]);
      return;
    }
    throw new Error('every pid was taken by somebody else');
  });

  test('a stranger with the pid of the root that has ended is not of the subtree, nor are its children', async () => {
    const { socket } = await startHelper();
    const everything = await Watcher.start(socket);
    for (let repetition = 0; repetition < 10; repetition++) {
      const shell = new SteeredShell();
      const watcher = await Watcher.start(socket, '--subtree', String(shell.pid));
      const daemon = await Daemon.start(shell, watcher);
      const { id } = (await ps(socket, shell.pid)).find(({ pid }) => pid === shell.pid) as ProcessRecord;
      await shell.leave();
      await until(
        'the exit of the shell',
        () => everything.hasEnded(shell.pid) && watcher.hasEnded(shell.pid),
      );
      const own = watcher.of(shell.pid).length;
      const stranger = await takePid(shell.pid);
      if (stranger === undefined) continue;
      // Unasked, a shell leaves no stdin to what it runs in the background.
      stranger.child.stdin?.write(`exec 3<&0; ${actor()} linger <&3 & echo child $!\n`);
      await stranger.says('child ');
      const child = Number(/child (\d+)/.exec(stranger.stdout)?.[1]);

      // The pid means the process that has it now, the id the one that had it.
      const ofPid = (await ps(socket, shell.pid)).map(({ pid }) => pid);
      expect(ofPid.toSorted()).toEqual([shell.pid, child].toSorted());
      expect((await ps(socket, id)).map(({ pid }) => pid)).toEqual([daemon.pid]);

      // The end of what both of them read.
      stranger.child.stdin?.end();
      await until('the stranger’s exit', () => exitsOf(everything, shell.pid) === 2);
      daemon.tell('exit 3');
      await until('the daemon’s exit', () => watcher.hasEnded(daemon.pid));
      expect(watcher.of(shell.pid)).toHaveLength(own);
      expect(watcher.of(child)).toEqual([]);
      return;
    }
    throw new Error('every pid was taken by somebody else');
  });
});

/** A shell that has become a daemon, and reads its commands from a pipe with a name. */
class Daemon {
  readonly pid: number;
  /** Which forked it, in a session of its own. */
  readonly beginner: number;
  /** The program that was to make a daemon. */
  readonly maker: number;
  readonly #pipe: number;

  private constructor(pipe: number, { pid, ppid }: ForkOf, maker: number) {
    this.#pipe = pipe;
    this.pid = pid;
    this.beginner = ppid;
    this.maker = maker;
  }

  static async start(shell: SteeredShell, watcher: Watcher): Promise<Daemon> {
    const path = join(temporaryDirectory(), 'commands');
    execFileSync('mkfifo', [path]);
    // For reading too: opening waits for nobody, and the daemon reads an end only when we are gone.
    const pipe = openSync(path, 'r+');
    await shell.does(`${actor()} daemonize /bin/sh < ${path} > /dev/null 2>&1`);
    const session = await told(watcher, 'a new session', ({ type }) => type === 'sid');
    const fork = (await told(watcher, 'the daemon', isFork(session.pid))) as ForkOf;
    const [first] = watcher.of(session.pid);
    const daemon = new Daemon(pipe, fork, (first as ForkOf).ppid);
    await until('the daemon to be a shell', () => watcher.of(daemon.pid).some(({ type }) => type === 'exec'));
    onTestFinished(() => {
      // Nobody waits for a daemon: where a test has failed, it ends with its pipe.
      daemon.tell('exit');
      closeSync(pipe);
    });
    return daemon;
  }

  tell(command: string): void {
    writeSync(this.#pipe, `${command}\n`);
  }
}

type ForkOf = Extract<ProcessEvent, { type: 'fork' }>;

/** A shell with a pid that was another's; undefined where somebody has taken it already. */
async function takePid(pid: number): Promise<ShellWithPid | undefined> {
  return ShellWithPid.start(pid).catch(() => undefined);
}

/** Waits for an event of a process to be told; returns the last one. */
async function told(
  watcher: Watcher,
  what: string,
  wanted: (event: ProcessEvent) => boolean,
): Promise<ProcessEvent> {
  return until(what, () => ofProcesses(watcher.events).findLast(wanted));
}

function isFork(ppid: number): (event: ProcessEvent) => boolean {
  return (event) => event.type === 'fork' && event.ppid === ppid;
}

function exitsOf(watcher: Watcher, pid: number): number {
  return watcher.of(pid).filter(({ type }) => type === 'exit').length;
}

function storyOf(watcher: Watcher, pid: number): string[] {
  return watcher.of(pid).map((event) => (event.type === 'exit' ? `exit ${event.exitCode}` : event.type));
}

function ofProcesses(events: readonly StreamEvent[]): ProcessEvent[] {
  return events.filter((event) => event.type !== 'lost');
}

async function ps(socket: string, subtree: number | string): Promise<ProcessRecord[]> {
  const args = [procbus, 'ps', '--json', '--socket', socket, '--subtree', String(subtree)];
  const { lines } = await run(process.execPath, args);
  return lines.map((line) => JSON.parse(line) as ProcessRecord);
}

/** The chain of parents, as /proc tells it. */
function parentsOf(pid: number): number[] {
  const parents: number[] = [];
  for (let at = pid; at > 0;) {
    at = Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${at}/status`, 'utf8'))?.[1]);
    parents.push(at);
  }
  return parents;
}
