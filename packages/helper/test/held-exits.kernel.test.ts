/*
 * Exits that may not be one, settled with real processes; the events are made up, as a test can choose
 * when they come.
 */
import { readdirSync } from 'node:fs';
import type { KernelEvent } from '@procbus/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { Program, run } from '../../../test/support/program.ts';
import { kernelSuite } from '../../../test/support/requirements.ts';
import { HeldExits } from '../src/kernel/held-exits.ts';

const exitOf = (pid: number): KernelEvent => ({
  type: 'exit',
  kernelTime: 1n,
  cpu: 0,
  pid,
  tid: pid,
  status: 0,
  ppid: 1,
});
const execOf = (pid: number): KernelEvent => ({ type: 'exec', kernelTime: 2n, cpu: 0, pid, tid: pid });
const forkOf = (pid: number): KernelEvent => ({
  type: 'fork',
  kernelTime: 3n,
  cpu: 0,
  pid,
  tid: pid,
  ppid: 1,
  ptid: 1,
});

/** Ends without the event loop having turned: nobody but those who ask can know. */
function killAndWait(program: Program, isOver: () => boolean): void {
  program.child.kill('SIGKILL');
  const deadline = Date.now() + 10_000;
  while (!isOver()) if (Date.now() > deadline) throw new Error('it does not end');
}

kernelSuite('an exit of a main thread', [], () => {
  function hold(): {
    held: HeldExits;
    over: KernelEvent[];
    settle: (...events: KernelEvent[]) => KernelEvent[];
  } {
    const over: KernelEvent[] = [];
    const held = new HeldExits((exit) => over.push(exit));
    onTestFinished(() => held.close());
    const settle = (...events: KernelEvent[]): KernelEvent[] =>
      held.settle(events, events.length, () => undefined);
    return { held, over, settle };
  }

  const wait = (): Program => new Program('/bin/cat', []);

  test('is told at once where the process is over', async () => {
    const { settle } = hold();
    const { pid } = await run('/bin/true', []);
    expect(settle(exitOf(pid))).toEqual([exitOf(pid)]);
  });

  test('is not told where an exec of the same process follows, and is where a new one follows', async () => {
    const { held } = hold();
    const { pid } = await run('/bin/true', []);
    const queue = [exitOf(pid)];
    expect(held.settle(queue, 1, () => void queue.push(execOf(pid)))).toEqual([]);
    const another = [exitOf(pid)];
    expect(held.settle(another, 1, () => void another.push(forkOf(pid), execOf(pid)))).toEqual([exitOf(pid)]);
  });

  test('is held while the process lives, and told when it is over', async () => {
    const { over, settle } = hold();
    const program = wait();
    expect(settle(exitOf(program.pid))).toEqual([]);
    expect(over).toEqual([]);
    await program.stop('SIGKILL');
    await until('its end to be told', () => over.length > 0);
    expect(over).toEqual([exitOf(program.pid)]);
  });

  test('can be asked for as soon as the process is over, and then is told only once', async () => {
    const { held, over, settle } = hold();
    const [ended, living] = [wait(), wait()];
    settle(exitOf(ended.pid), exitOf(living.pid));
    expect(held.takeOver()).toEqual([]);
    const taken: KernelEvent[] = [];
    killAndWait(ended, () => taken.push(...held.takeOver()) > 0);
    expect(taken).toEqual([exitOf(ended.pid)]);
    expect(over).toEqual([]);

    await ended.ended;
    await living.stop('SIGKILL');
    await until('the other one’s end to be told', () => over.length > 0);
    expect(over).toEqual([exitOf(living.pid)]);
    expect(held.takeOver()).toEqual([]);
  });

  test('that is held is forgotten at an exec, and told before its pid is given anew', () => {
    const { held, settle } = hold();
    const program = wait();
    const { pid } = program;
    settle(exitOf(pid));
    expect(settle(execOf(pid))).toEqual([execOf(pid)]);
    settle(exitOf(pid));
    expect(settle(forkOf(pid))).toEqual([exitOf(pid), forkOf(pid)]);
    killAndWait(program, () => program.child.killed);
    expect(held.takeOver()).toEqual([]);
  });

  test('leaves no descriptor, taken over or not', () => {
    const { held, settle } = hold();
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const programs = [wait(), wait(), wait()];
    const before = descriptors();
    settle(...programs.map(({ pid }) => exitOf(pid)));
    expect(descriptors()).toBe(before + 3);
    let taken = 0;
    killAndWait(programs[0] as Program, () => (taken += held.takeOver().length) > 0);
    expect(descriptors()).toBe(before + 2);
    held.close();
    expect(descriptors()).toBe(before);
  });
});
