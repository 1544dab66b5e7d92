/*
 * The threads that read programs in time, as they are built, on the real kernel.
 */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { cpus } from 'node:os';
import type { KernelEvent } from '@procbus/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { actor } from '../../../test/support/actor.ts';
import { until } from '../../../test/support/condition.ts';
import { Program, run } from '../../../test/support/program.ts';
import { kernelSuite, needsProgram } from '../../../test/support/requirements.ts';
// A thread of Node runs what is built.
import { ExecReader } from '../dist/processes/exec-reader.js';
import { Connector } from '../src/kernel/connector.ts';
import { monotonicTime } from '../src/libc.ts';

/** One for each CPU, of a power of two, up to four. */
const threads = cpus().length >= 4 ? 4 : cpus().length >= 2 ? 2 : 1;
const cat = realpathSync('/bin/cat');

/** Threads of ours that call themselves as the reader's do; the main one may as well. */
function readerThreads(): number[] {
  return readdirSync('/proc/self/task')
    .map(Number)
    .filter((tid) => tid !== process.pid && threadFile(tid, 'comm') === 'procbusd\n');
}

function threadFile(tid: number, file: string): string {
  try {
    return readFileSync(`/proc/self/task/${tid}/${file}`, 'utf8');
  } catch {
    return ''; // It has ended.
  }
}

kernelSuite('the exec reader', [needsProgram('gcc')], () => {
  async function start(): Promise<Pick<ExecReader, 'imageOf' | 'close'>> {
    const reader = new ExecReader();
    await reader.start();
    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => (closing ??= reader.close());
    onTestFinished(close);
    return { imageOf: (exec) => reader.imageOf(exec), close };
  }

  /** Hears execs as the main thread does. */
  function listen(): (pid: number) => KernelEvent[] {
    const connector = new Connector(1 << 24);
    onTestFinished(() => connector.close());
    connector.setInterest({ processes: new Set(['exec']), threads: new Set() });
    const events: KernelEvent[] = [];
    return (pid) => {
      connector.drain(events);
      return events.filter((event) => event.type === 'exec' && event.pid === pid);
    };
  }

  /** Waits until the threads have read all that they were told of so far: then they sleep. */
  async function untilRead(): Promise<void> {
    const sleeps = (tid: number): boolean => threadFile(tid, 'stat').split(') ').at(-1)?.[0] === 'S';
    await until('the threads to sleep', () => readerThreads().every(sleeps));
  }

  test('knows arguments and program of those that have ended long before they are asked about', async () => {
    const execsOf = listen();
    const reader = await start();
    const programs: Program[] = [];
    for (let nth = 1; nth <= 10; nth++) {
      const program = new Program('/bin/cat', ['-', `number ${nth}`, '', 'é €'], { cwd: '/usr' });
      programs.push(program);
      await untilRead();
      await program.stop('SIGKILL');
    }
    for (const [index, { pid }] of programs.entries()) {
      const [exec] = execsOf(pid);
      expect(reader.imageOf(exec as KernelEvent)).toMatchObject({
        comm: 'cat',
        exe: cat,
        args: ['/bin/cat', '-', `number ${index + 1}`, '', 'é €'],
        cwd: '/usr',
        cgroup: expect.stringMatching(/^\//) as unknown,
        detail: 'complete',
      });
    }
  });

  test('of many short programs, tells each what is its own or nothing', async () => {
    const execsOf = listen();
    const reader = await start();
    const count = 300;
    const script = `for i in $(seq ${count}); do /bin/true "$i" & echo $!; wait; done`;
    const shell = await run('/bin/sh', ['-c', script]);
    expect(shell.lines).toHaveLength(count);
    let complete = 0;
    for (const [index, line] of shell.lines.entries()) {
      const [exec] = execsOf(Number(line));
      const { args, detail } = reader.imageOf(exec as KernelEvent);
      if (args !== undefined) expect(args).toEqual(['/bin/true', String(index + 1)]);
      if (detail === 'complete') complete++;
    }
    expect(complete).toBeGreaterThan(0);
  });

  test('knows each program of a process that runs one after the other', async () => {
    const execsOf = listen();
    const reader = await start();
    const program = new Program('/bin/sh', ['-c', 'read line; exec /bin/cat - second']);
    await untilRead();
    program.child.stdin?.write('\n');
    await until('the second program', () => execsOf(program.pid).length === 2);
    await untilRead();
    await program.stop('SIGKILL');
    const images = execsOf(program.pid).map((exec) => reader.imageOf(exec));
    expect(images.map(({ args }) => args?.at(-1))).toEqual(['read line; exec /bin/cat - second', 'second']);
    expect(images.map(({ exe }) => exe)).toEqual([realpathSync('/bin/sh'), cat]);
  });

  test('knows who has begun each program', async () => {
    const execsOf = listen();
    const reader = await start();
    const program = new Program('setpriv', ['--reuid=1234', '--clear-groups', '/bin/cat', '-']);
    await until('the second program', () => execsOf(program.pid).length === 2);
    await untilRead();
    await program.stop('SIGKILL');
    const images = execsOf(program.pid).map((exec) => reader.imageOf(exec));
    expect(images.map(({ begunBy, args }) => [begunBy, args?.at(0)])).toEqual([
      [0, 'setpriv'],
      [1234, '/bin/cat'],
    ]);
  });

  test('never takes one for who has begun a program whom it only became', async () => {
    const execsOf = listen();
    const reader = await start();
    const pids: number[] = [];
    // Really and in effect: of one who acts for somebody else, the events before tell.
    for (let nth = 1; nth <= 50; nth++) pids.push((await run(actor(), ['become', '1234', '1234'])).pid);
    const known = pids.map((pid) => reader.imageOf(execsOf(pid)[0] as KernelEvent).begunBy);
    expect(known.filter((uid) => uid !== 0 && uid !== undefined)).toEqual([]);
    // Most of them are read before they get that far.
    expect(known.filter((uid) => uid === 0).length).toBeGreaterThan(0);
  });

  test('reads itself what the thread was never told of', async () => {
    const reader = await start();
    const { pid } = new Program('/bin/cat', ['-', 'x']);
    const execAt = (kernelTime: bigint): KernelEvent => ({ type: 'exec', kernelTime, cpu: 0, pid, tid: pid });
    for (const kernelTime of [1n, monotonicTime()]) {
      expect(reader.imageOf(execAt(kernelTime))).toMatchObject({
        args: ['/bin/cat', '-', 'x'],
        detail: 'complete',
      });
    }
  });

  test('says that nothing is left of a program that nobody read in time', async () => {
    const { pid } = await run('/bin/true', []);
    const reader = await start();
    const exec: KernelEvent = { type: 'exec', kernelTime: monotonicTime(), cpu: 0, pid, tid: pid };
    const begun = performance.now();
    expect(reader.imageOf(exec)).toMatchObject({ comm: '', detail: 'gone' });
    // It waits for the thread, but not for ever.
    expect(performance.now() - begun).toBeLessThan(1000);
  });

  test('when closed ends its threads, and leaves no descriptor', async () => {
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const startAndClose = async (): Promise<void> => {
      const reader = await start();
      expect(readerThreads()).toHaveLength(threads);
      await run('/bin/true', []);
      await reader.close();
      await until('the threads to be gone', () => readerThreads().length === 0);
    };
    await startAndClose();
    const before = descriptors();
    for (let round = 0; round < 5; round++) await startAndClose();
    await until(`${before} descriptors`, () => descriptors() <= before);
  }, 20_000);

  test('still answers when it is closed, by reading itself', async () => {
    const execsOf = listen();
    const reader = await start();
    await reader.close();
    const { pid } = new Program('/bin/cat', ['-']);
    const [exec] = execsOf(pid);
    expect(reader.imageOf(exec as KernelEvent)).toMatchObject({
      args: ['/bin/cat', '-'],
      detail: 'complete',
    });
  });
});
