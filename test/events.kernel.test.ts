/*
 * Each of the kernel's nine event types, made by a real program and seen through the whole path.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { StreamEvent } from '@procbus/client';
import { beforeEach, expect, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { shareAmongTests } from './support/lifetime.ts';
import { startHelper, temporaryDirectory, Watcher } from './support/procbus.ts';
import { run, type Program } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

kernelSuite('events of the kernel', [needsProgram('gcc')], () => {
  let watcher: Watcher;
  let begun: bigint;

  shareAmongTests(async () => {
    actor();
    const { socket } = await startHelper();
    watcher = await Watcher.start(socket);
  });
  beforeEach(() => {
    begun = process.hrtime.bigint();
  });

  /** Runs the actor to its end; returns it and all that was told of it. */
  async function act(...args: string[]): Promise<{ program: Program; told: Record<string, unknown>[] }> {
    const program = await run(actor(), args, { cwd: temporaryDirectory() });
    await until('the exit of the actor', () => watcher.hasEnded(program.pid));
    return { program, told: checked(watcher.of(program.pid)) };
  }

  /** Checks what all events have, and leaves what is particular to each. */
  function checked(events: StreamEvent[]): Record<string, unknown>[] {
    return events.map((event) => {
      if (event.type === 'lost') throw new Error('nothing may be lost here');
      const { seq, time, kernelTime, cpu, process: who, ...rest } = event;
      expect(seq).toBeGreaterThan(0);
      expect(BigInt(kernelTime)).toBeGreaterThanOrEqual(begun);
      expect(BigInt(kernelTime)).toBeLessThanOrEqual(process.hrtime.bigint());
      expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      const monotonicNow = process.hrtime.bigint();
      const expected = Date.now() - Number(monotonicNow - BigInt(kernelTime)) / 1e6;
      expect(Math.abs(Date.parse(time) - expected)).toBeLessThan(20);
      expect(cpu).toBeGreaterThanOrEqual(0);
      expect(cpu).toBeLessThan(cpus().length);
      // Until its exec it is a copy of ourselves.
      const names = event.type === 'fork' && event.ppid === self ? [ownName] : ['actor', 'näme \u001b[31m'];
      expect(who).toEqual({
        id: expect.stringMatching(new RegExp(`^${event.pid}\\.[0-9a-z]+$`)),
        comm: expect.toBeOneOf(names),
        detail: 'complete',
      });
      return rest;
    });
  }

  const self = process.pid;
  const ownName = readFileSync('/proc/self/comm', 'utf8').trim();

  test('fork, exec and exit are told of a program that exits with 3', async () => {
    const { program, told } = await act('exit', '3');
    const pid = program.pid;
    const parent = { id: expect.stringContaining(`${self}.`), comm: ownName, detail: 'complete' };
    // How long it lives is up to the machine.
    const lived = Number(process.hrtime.bigint() - begun) / 1e9;
    const runtime = expect.toSatisfy((seconds: number) => seconds > 0 && seconds < lived) as number;
    expect(told).toEqual([
      { type: 'fork', pid, tid: pid, ppid: self, ptid: expect.any(Number), parent },
      { type: 'exec', pid, tid: pid },
      { type: 'exit', pid, tid: pid, status: 768, exitCode: 3, ppid: self, runtime },
    ]);
  });

  test('an exit by SIGKILL names the signal', async () => {
    const { program, told } = await act('kill', '9');
    const pid = program.pid;
    expect(told.at(-1)).toEqual({
      type: 'exit',
      pid,
      tid: pid,
      status: 9,
      signal: 'SIGKILL',
      coreDumped: false,
      ppid: self,
      runtime: expect.any(Number),
    });
  });

  test('setresuid is told with real and effective ids', async () => {
    const { program, told } = await act('uid', '1234');
    expect(told).toContainEqual({ type: 'uid', pid: program.pid, tid: program.pid, uid: 1234, euid: 1235 });
  });

  test('setresgid is told with real and effective ids', async () => {
    const { program, told } = await act('gid', '2345');
    expect(told).toContainEqual({ type: 'gid', pid: program.pid, tid: program.pid, gid: 2345, egid: 2346 });
  });

  test('setsid is told', async () => {
    const { program, told } = await act('sid');
    expect(told).toContainEqual({ type: 'sid', pid: program.pid, tid: program.pid });
  });

  test('a new name is told', async () => {
    const { program, told } = await act('name', 'näme \u001b[31m');
    expect(told).toContainEqual({
      type: 'comm',
      pid: program.pid,
      tid: program.pid,
      comm: 'näme \u001b[31m',
    });
  });

  test('attaching and detaching a tracer are told', async () => {
    const { program } = await act('ptrace');
    const { child } = JSON.parse(program.stdout) as { child: number };
    const told = checked(watcher.of(child)).filter(({ type }) => type === 'ptrace');
    expect(told).toEqual([
      { type: 'ptrace', pid: child, tid: child, tracerPid: program.pid, tracerTid: program.pid },
      { type: 'ptrace', pid: child, tid: child, tracerPid: 0, tracerTid: 0 },
    ]);
  });

  test('a core dump is told before the exit, which says that a core was dumped', async () => {
    // Where cores are piped to a program or switched off, the kernel decides whether one was dumped.
    const toFile = !readFileSync('/proc/sys/kernel/core_pattern', 'utf8').startsWith('|');
    const { program, told } = await act('abort');
    const pid = program.pid;
    expect(told.slice(-2)).toEqual([
      { type: 'coredump', pid, tid: pid, ppid: self },
      {
        type: 'exit',
        pid,
        tid: pid,
        status: toFile ? 134 : expect.any(Number),
        signal: 'SIGABRT',
        coreDumped: toFile ? true : expect.any(Boolean),
        ppid: self,
        runtime: expect.any(Number),
      },
    ]);
  });
});
