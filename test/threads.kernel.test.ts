/*
 * Threads: told only where asked for, and never mistaken for processes.
 */
import { connect, type StreamEvent } from '@procbus/client';
import { expect, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { shareAmongTests } from './support/lifetime.ts';
import { startHelper, temporaryDirectory, Watcher } from './support/procbus.ts';
import { Program, run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

kernelSuite('threads', [needsProgram('gcc')], () => {
  /** Type and exit code of what was told of a process, in order. */
  function story(events: readonly StreamEvent[]): string[] {
    return events.map((event) =>
      event.type === 'exit' ? `exit ${event.exitCode ?? event.signal}` : event.type,
    );
  }

  let socket: string;
  let program: Program;
  let watcher: Watcher;
  shareAmongTests(async () => {
    ({ socket, program } = await startHelper());
    watcher = await Watcher.start(socket);
  });

  test('a thread that calls execve does not end its process', async () => {
    const [withThreads, exitsOnly] = await Promise.all([
      Watcher.start(socket, '--threads'),
      Watcher.start(socket, '--events', 'exit'),
    ]);
    for (let repetition = 0; repetition < 50; repetition++) {
      const { pid } = await run(actor(), ['thread-exec']);
      for (const each of [watcher, withThreads, exitsOnly]) await until('the exit', () => each.hasEnded(pid));
      expect(story(watcher.of(pid))).toEqual(['fork', 'exec', 'exec', 'exit 5']);
      const ofMain = withThreads.of(pid).filter((event) => event.type !== 'lost' && event.tid === pid);
      expect(story(ofMain)).toEqual(['fork', 'exec', 'exec', 'exit 5']);
      expect(story(exitsOnly.of(pid))).toEqual(['exit 5']);
    }
  });

  test('a helper that reads late still knows that execve by a thread was no exit', async () => {
    program.child.kill('SIGSTOP');
    const late: number[] = [];
    for (let repetition = 0; repetition < 20; repetition++)
      late.push((await run(actor(), ['thread-exec'])).pid);
    program.child.kill('SIGCONT');
    for (const pid of late) {
      await until('the exit', () => watcher.hasEnded(pid));
      expect(story(watcher.of(pid))).toEqual(['fork', 'exec', 'exec', 'exit 5']);
    }
  });

  test('a helper that reads 1,000 exits at once still knows which of them is none', async () => {
    program.child.kill('SIGSTOP');
    await run(actor(), ['fork-storm', '1000']);
    const survivor = new Program(actor(), ['leader-exits']);
    await until('the main thread’s end', async () => isDead(survivor.pid));
    const later = await run('/bin/true', []);
    program.child.kill('SIGCONT');
    await until('a later exit', () => watcher.hasEnded(later.pid));
    expect(watcher.hasEnded(survivor.pid)).toBe(false);
    survivor.child.stdin?.write('\n');
    await until('the exit', () => watcher.hasEnded(survivor.pid));
  });

  test('a main thread that ends before its process is told when the process ends', async () => {
    const withThreads = await Watcher.start(socket, '--threads');
    const leader = new Program(actor(), ['leader-exits']);
    await until('the second thread', () => withThreads.of(leader.pid).some(({ type }) => type === 'fork'));
    // The main thread's exit is in the kernel's queue before a program that starts after it.
    await until('the main thread’s end', async () => isDead(leader.pid));
    const later = await run('/bin/true', []);
    await until('a later exit', () => withThreads.hasEnded(later.pid));
    expect(withThreads.hasEnded(leader.pid)).toBe(false);

    leader.child.stdin?.write('\n');
    await leader.ended;
    await until('the exit', () => withThreads.hasEnded(leader.pid));
    const exits = (): StreamEvent[] => withThreads.of(leader.pid).filter(({ type }) => type === 'exit');
    // A thread's may come behind that of its process.
    await until('the exit of the second thread', () => exits().length > 1);
    expect(story(exits())).toEqual(['exit 0', 'exit 0']);
  });

  test('a crash in a second thread is told as the process’s, with the thread at fault', async () => {
    const { pid, stdout } = await run(actor(), ['thread-abort'], { cwd: temporaryDirectory() });
    const { thread } = JSON.parse(stdout) as { thread: number };
    await until('the exit', () => watcher.hasEnded(pid));
    expect(story(watcher.of(pid))).toEqual(['fork', 'exec', 'coredump', 'exit SIGABRT']);
    expect(watcher.of(pid)[2]).toMatchObject({ type: 'coredump', pid, tid: thread });
  });

  test('threads are told with --threads alone, and are dropped by the kernel where nobody asks', async () => {
    // One that nobody has asked for threads before.
    const { socket: fresh } = await startHelper();
    const processes = await Watcher.start(fresh);
    await using bus = await connect({ socket: fresh });

    const { helper: before } = await bus.stats();
    const quiet = await run(actor(), ['threads', '5000']);
    await until('the exit', () => processes.hasEnded(quiet.pid));
    const { helper: after } = await bus.stats();
    expect(story(processes.of(quiet.pid))).toEqual(['fork', 'exec', 'exit 0']);
    expect(after?.kernelFilter.threads).toEqual([]);
    // Not one of 10,000 thread events has reached the helper; other processes may have done a little.
    expect((after?.seq ?? Number.NaN) - (before?.seq ?? Number.NaN)).toBeLessThan(1000);

    const withThreads = await Watcher.start(fresh, '--threads');
    const loud = await run(actor(), ['threads', '5000']);
    await until('the exit', () => withThreads.hasEnded(loud.pid), 60_000);
    const threads = (type: string): StreamEvent[] =>
      withThreads
        .of(loud.pid)
        .filter((event) => event.type === type && 'tid' in event && event.tid !== loud.pid);
    // That of the last thread may come behind that of its process.
    await until('the exits of the threads', () => threads('exit').length >= 5000);
    expect(threads('exit')).toHaveLength(5000);
    expect(threads('fork')).toHaveLength(5000);
    await until('the exit', () => processes.hasEnded(loud.pid));
    expect(story(processes.of(loud.pid))).toEqual(['fork', 'exec', 'exit 0']);
  });
});

/** Whether the main thread of a process is a zombie. */
async function isDead(pid: number): Promise<boolean> {
  const { stdout } = await run('cat', [`/proc/${pid}/task/${pid}/stat`]);
  return stdout.slice(stdout.lastIndexOf(')') + 2).startsWith('Z');
}
