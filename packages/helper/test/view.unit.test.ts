import { includes, type Include, type KernelEvent } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { circumstancesOf, lifeOf, recordOf } from '../src/bus/view.ts';
import { Process, type Facts } from '../src/processes/process.ts';

const facts: Facts = {
  comm: 'make',
  exe: '/usr/bin/make',
  args: ['make', '-j', '4'],
  cwd: '/src',
  cgroup: '/system.slice/docker-x.scope',
  container: 'f00d',
  detail: 'complete',
  uid: 0,
  euid: 1,
  gid: 2,
  egid: 3,
  sid: 9,
  tty: 34_816,
};

const second = 1_000_000_000n;
const all: ReadonlySet<Include> = new Set(includes);
const nothing: ReadonlySet<Include> = new Set();

/** A child of a shell that is a child of pid 1. */
function make(of: Partial<Facts> = {}): Process {
  const init = new Process(1, 0n, { ...facts, comm: 'init' });
  const shell = new Process(9, 5n * second, { ...facts, comm: 'sh', args: ['sh'] });
  const process = new Process(10, 20n * second, { ...facts, ...of });
  shell.adoptBy(init);
  process.adoptBy(shell);
  return process;
}

const stamp = { kernelTime: 22n * second + 500_000_000n, cpu: 0, pid: 10, tid: 10 };
const fork: KernelEvent = { type: 'fork', ...stamp, ppid: 9, ptid: 9 };
const exec: KernelEvent = { type: 'exec', ...stamp };
const exit: KernelEvent = { type: 'exit', ...stamp, status: 256, ppid: 9 };
const ofThread = { tid: 11 };

const id = `10.${(20n * second).toString(36)}`;
const brief = { id, comm: 'make', detail: 'complete' };

describe('what an event tells of its process', () => {
  test('is its id, its name and how far it is known, and more only for those who ask', () => {
    expect(circumstancesOf(exec, make(), nothing)).toStrictEqual({ process: brief });
  });

  test.each<[Include, unknown]>([
    ['exe', '/usr/bin/make'],
    ['args', ['make', '-j', '4']],
    ['cwd', '/src'],
    ['cgroup', '/system.slice/docker-x.scope'],
    ['container', 'f00d'],
    ['user', 'root'],
    [
      'ancestors',
      [
        { pid: 9, comm: 'sh' },
        { pid: 1, comm: 'init' },
      ],
    ],
  ])('has %s for those who ask for it, and nothing else', (include, value) => {
    expect(circumstancesOf(exec, make(), new Set([include]))).toStrictEqual({
      process: { ...brief, [include]: value },
    });
  });

  test('has nothing in the place of what is not known', () => {
    const unknown = make({
      exe: undefined,
      args: undefined,
      cwd: undefined,
      cgroup: undefined,
      container: undefined,
      uid: 4_000_000_000,
      detail: 'gone',
    });
    unknown.adoptBy(undefined);
    expect(circumstancesOf(exec, unknown, all)).toStrictEqual({
      process: { ...brief, detail: 'gone', ancestors: [] },
    });
  });

  test('says with arguments, and only with them, that there were more', () => {
    const process = make({ argsTruncated: true });
    expect(circumstancesOf(exec, process, new Set(['args'])).process.argsTruncated).toBe(true);
    expect(circumstancesOf(exec, process, new Set(['exe'])).process).not.toHaveProperty('argsTruncated');
  });

  test('has the parent, briefly, with the fork of a process', () => {
    const parent = { id: `9.${(5n * second).toString(36)}`, comm: 'sh', detail: 'complete' };
    expect(circumstancesOf(fork, make(), new Set(['args']))).toStrictEqual({
      process: { ...brief, args: ['make', '-j', '4'] },
      parent,
    });
    for (const event of [exec, exit, { ...fork, ...ofThread }]) {
      expect(circumstancesOf(event, make(), all)).not.toHaveProperty('parent');
    }
  });

  test('has no parent where nobody knows one', () => {
    const process = make();
    process.adoptBy(undefined);
    expect(circumstancesOf(fork, process, nothing)).toStrictEqual({ process: brief });
  });

  test('has how long it lived with the exit of a process, and not with that of a thread', () => {
    expect(circumstancesOf(exit, make(), nothing)).toStrictEqual({ process: brief, runtime: 2.5 });
    expect(circumstancesOf({ ...exit, ...ofThread }, make(), nothing)).toStrictEqual({ process: brief });
  });

  test('says of what was found and not told that it was', () => {
    expect(circumstancesOf({ ...exec, synthetic: true }, make(), nothing)).toStrictEqual({
      process: brief,
      synthetic: true,
    });
  });

  test('has no more than 64 ancestors, the nearest', () => {
    let process = new Process(1, 0n, facts);
    for (let pid = 2; pid <= 100; pid++) {
      const child = new Process(pid, 0n, facts);
      child.adoptBy(process);
      process = child;
    }
    const { ancestors } = circumstancesOf(exec, process, all).process;
    expect(ancestors?.map(({ pid }) => pid)).toEqual(Array.from({ length: 64 }, (_, index) => 99 - index));
  });
});

describe('the life that an event tells of', () => {
  test('is known of exits alone, and its length of those of processes', () => {
    expect(lifeOf(exec, make())).toEqual({});
    expect(lifeOf(exit, make())).toEqual({ status: 256, runtime: 2.5 });
    expect(lifeOf({ ...exit, ...ofThread }, make())).toEqual({ status: 256 });
  });

  test('is never shorter than nothing, whatever the clocks say', () => {
    expect(lifeOf({ ...exit, kernelTime: 19n * second }, make())).toEqual({ status: 256, runtime: 0 });
  });
});

describe('the record of a process', () => {
  const record = {
    ...brief,
    pid: 10,
    ppid: 9,
    exe: '/usr/bin/make',
    args: ['make', '-j', '4'],
    cgroup: '/system.slice/docker-x.scope',
    container: 'f00d',
    user: 'root',
    uid: 0,
    euid: 1,
    gid: 2,
    egid: 3,
    sid: 9,
    tty: 34_816,
    startTime: 20n * second,
  };

  test('has all but working directory and ancestors without being asked', () => {
    expect(recordOf(make(), nothing)).toStrictEqual(record);
    expect(recordOf(make(), all)).toStrictEqual({
      ...record,
      cwd: '/src',
      ancestors: [
        { pid: 9, comm: 'sh' },
        { pid: 1, comm: 'init' },
      ],
    });
  });

  test('says when the process ended and how, as far as anybody saw', () => {
    const process = make();
    process.endTime = 30n * second;
    expect(recordOf(process, nothing)).toStrictEqual({ ...record, endTime: 30n * second });
    process.status = 0;
    expect(recordOf(process, nothing)).toStrictEqual({ ...record, endTime: 30n * second, status: 0 });
  });

  test('has 0 for the parent of a process without one', () => {
    const process = make();
    process.adoptBy(undefined);
    expect(recordOf(process, nothing).ppid).toBe(0);
  });
});
