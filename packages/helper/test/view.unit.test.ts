import {
  fullGrant,
  grantedDetails,
  includes,
  tells,
  type Grant,
  type Include,
  type KernelEvent,
  type Loss,
} from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import {
  eventOf,
  isOwn,
  isShown,
  lensOf,
  lifeOf,
  lossOf,
  pastSubjectOf,
  recordOf,
  subjectOf,
  withAlways,
  type Lens,
} from '../src/bus/view.ts';
import type { Portrait } from '../src/processes/portrait.ts';
import { Process, type Facts } from '../src/processes/process.ts';
import { circumstancesOf } from './support/circumstances.ts';

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
/** One who may see everything, and asks for some of it. */
const seeing = (...include: Include[]): Lens => lensOf(fullGrant, 0, include);
const all = seeing(...includes);
const nothing = seeing();

/** A child of a shell that is a child of pid 1. */
function makeProcess(of: Partial<Facts> = {}): Process {
  const init = new Process(1, 0n, { ...facts, comm: 'init' });
  const shell = new Process(9, 5n * second, { ...facts, comm: 'sh', args: ['sh'] });
  const process = new Process(10, 20n * second, { ...facts, ...of });
  shell.adoptBy(init);
  process.adoptBy(shell);
  return process;
}

const make = (of: Partial<Facts> = {}): Portrait => makeProcess(of).portrait;

const stamp = { kernelTime: 22n * second + 500_000_000n, cpu: 0, pid: 10, tid: 10 };
const fork: KernelEvent = { type: 'fork', ...stamp, ppid: 9, ptid: 9 };
const exec: KernelEvent = { type: 'exec', ...stamp };
const exit: KernelEvent = { type: 'exit', ...stamp, status: 256, ppid: 9 };
const ofThread = { tid: 11 };

const id = `10.${(20n * second).toString(36)}`;
const brief = { id, comm: 'make', detail: 'complete' };

describe('what an event tells of its process', () => {
  test('is its id, its name and how far it is known, and more only for those who ask', () => {
    expect(circumstancesOf(nothing, exec, make())).toStrictEqual({ process: brief });
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
    expect(circumstancesOf(seeing(include), exec, make())).toStrictEqual({
      process: { ...brief, [include]: value },
    });
  });

  test('has nothing in the place of what is not known', () => {
    const unknown = makeProcess({
      exe: undefined,
      args: undefined,
      cwd: undefined,
      cgroup: undefined,
      container: undefined,
      uid: 4_000_000_000,
      detail: 'gone',
    });
    unknown.adoptBy(undefined);
    expect(circumstancesOf(all, exec, unknown.portrait)).toStrictEqual({
      process: { ...brief, detail: 'gone', ancestors: [] },
    });
  });

  test('says with arguments, and only with them, that there were more', () => {
    const process = make({ argsTruncated: true });
    expect(circumstancesOf(seeing('args'), exec, process).process.argsTruncated).toBe(true);
    expect(circumstancesOf(seeing('exe'), exec, process).process).not.toHaveProperty('argsTruncated');
  });

  test('has the parent, briefly, with the fork of a process', () => {
    const parent = { id: `9.${(5n * second).toString(36)}`, comm: 'sh', detail: 'complete' };
    expect(circumstancesOf(seeing('args'), fork, make())).toStrictEqual({
      process: { ...brief, args: ['make', '-j', '4'] },
      parent,
    });
    for (const event of [exec, exit, { ...fork, ...ofThread }]) {
      expect(circumstancesOf(all, event, make())).not.toHaveProperty('parent');
    }
  });

  test('has no parent where nobody knows one', () => {
    const process = makeProcess();
    process.adoptBy(undefined);
    expect(circumstancesOf(nothing, fork, process.portrait)).toStrictEqual({ process: brief });
  });

  test('has how long it lived with the exit of a process, and not with that of a thread', () => {
    expect(circumstancesOf(nothing, exit, make())).toStrictEqual({ process: brief, runtime: 2.5 });
    expect(circumstancesOf(nothing, { ...exit, ...ofThread }, make())).toStrictEqual({ process: brief });
  });

  test('says of what was found and not told that it was', () => {
    expect(circumstancesOf(nothing, { ...exec, synthetic: true }, make())).toStrictEqual({
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
    const { ancestors } = circumstancesOf(all, exec, process.portrait).process;
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
  const usual = seeing(...withAlways([]));
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
    expect(recordOf(usual, makeProcess())).toStrictEqual(record);
    expect(recordOf(all, makeProcess())).toStrictEqual({
      ...record,
      cwd: '/src',
      ancestors: [
        { pid: 9, comm: 'sh' },
        { pid: 1, comm: 'init' },
      ],
    });
  });

  test('says when the process ended and how, as far as anybody saw', () => {
    const process = makeProcess();
    process.endTime = 30n * second;
    expect(recordOf(usual, process)).toStrictEqual({ ...record, endTime: 30n * second });
    process.status = 0;
    expect(recordOf(usual, process)).toStrictEqual({ ...record, endTime: 30n * second, status: 0 });
  });

  test('has 0 for the parent of a process without one', () => {
    const process = makeProcess();
    process.adoptBy(undefined);
    expect(recordOf(usual, process).ppid).toBe(0);
  });
});

describe('a grant of less detail', () => {
  test.each(grantedDetails)(
    'tells what is within it of a process, of those that are asked for: %s',
    (detail) => {
      const { process } = circumstancesOf(lensOf({ ...fullGrant, detail }, 0, includes), exec, make());
      const granted = includes.filter((include) => tells(detail, include));
      expect(Object.keys(process).toSorted()).toEqual(['id', 'comm', 'detail', ...granted].toSorted());
      expect(process.comm).toBe(detail === 'ids' ? '' : 'make');
      expect(process.detail).toBe('complete');
    },
  );

  test('tells no names of anybody', () => {
    const ids = lensOf({ ...fullGrant, detail: 'ids' }, 0, includes);
    const comm: KernelEvent = { type: 'comm', ...stamp, comm: 'secret' };
    expect(eventOf(ids, comm, make())).toEqual({ ...comm, comm: '' });
    expect(eventOf(nothing, comm, make())).toBe(comm);
    expect(eventOf(ids, exec, make())).toBe(exec);
    expect(circumstancesOf(ids, fork, make()).parent?.comm).toBe('');
    const { comm: name, exe, cgroup, user } = recordOf(ids, makeProcess());
    expect([name, exe, cgroup, user]).toEqual(['', undefined, undefined, 'root']);
  });
});

describe('one who may see only their own', () => {
  const grant: Grant = { ...fullGrant, scope: 'own' };
  /** Somebody without a name. */
  const me = 4_000_000_000;
  const own = lensOf(grant, me, includes);
  const mine = { uid: me, euid: me, begunBy: me } as const;
  const exitOfThread = { ...exit, ...ofThread };

  test('is shown events of these, and when one comes or goes', () => {
    const uid: KernelEvent = { type: 'uid', ...stamp, uid: 1001, euid: 1001 };
    for (const event of [fork, exec, exit, exitOfThread]) {
      expect(isShown(own, { event, process: make(mine) })).toBe(true);
      expect(isShown(own, { event, process: make() })).toBe(false);
      // Who acts for somebody is not that one.
      expect(isShown(own, { event, process: make({ uid: 0, euid: me, begunBy: me }) })).toBe(false);
    }
    expect(isShown(own, { event: uid, process: make({ uid: 1001 }), formerUid: me })).toBe(true);
    expect(isShown(own, { event: uid, process: make(mine), formerUid: 0 })).toBe(true);
    expect(isShown(own, { event: uid, process: make({ uid: 1001 }), formerUid: 0 })).toBe(false);
    expect(isShown(lensOf({ ...grant, events: ['fork'] }, me, []), { event: uid, process: make(mine) })).toBe(
      false,
    );
  });

  test('is shown these in a snapshot', () => {
    expect([make(mine), make()].map((process) => isOwn(own, process))).toEqual([true, false]);
    expect(isOwn(all, make(mine))).toBe(true);
  });

  test('is told everything of a program that they have begun', () => {
    expect(circumstancesOf(own, exec, make(mine)).process).toEqual({
      ...circumstancesOf(all, exec, make(mine)).process,
      ancestors: [],
    });
  });

  test.each([0, 1001, undefined])('is told no names where the program was begun by %s', (begunBy) => {
    const process = make({ ...mine, begunBy, argsTruncated: true });
    expect(circumstancesOf(own, exec, process).process).toStrictEqual({
      id,
      comm: '',
      detail: 'gone',
      cgroup: facts.cgroup,
      container: facts.container,
      ancestors: [],
    });
    const comm: KernelEvent = { type: 'comm', ...stamp, ...ofThread, comm: 'secret' };
    expect(eventOf(own, comm, process)).toEqual({ ...comm, comm: '' });
    expect(eventOf(own, comm, make(mine))).toBe(comm);
  });

  test('finds, by what it has of a program, only what is told', () => {
    const shown = subjectOf(own, make(mine));
    expect([shown.comm, shown.exe, shown.args]).toEqual([facts.comm, facts.exe, facts.args]);
    const hidden = subjectOf(own, make({ ...mine, begunBy: 0 }));
    const { pid, comm, exe, args, cgroup, container, uid } = hidden;
    expect([pid, comm, exe, args, uid]).toEqual([10, '', undefined, undefined, me]);
    expect([cgroup, container]).toEqual([facts.cgroup, facts.container]);
    expect([hidden.isWithin(id), hidden.isWithin('1.0')]).toEqual([true, false]);
  });

  test('is told their own of those above a process, by name where they have begun the program', () => {
    const others = new Process(7, 0n, facts);
    const chain = [mine, facts, { ...mine, begunBy: 0 }, mine].map(
      (of, index) => new Process(10 + index, BigInt(index), { ...facts, ...of, comm: `c${index}` }),
    );
    chain.forEach((process, index) => process.adoptBy(chain[index - 1] ?? others));
    const { portrait } = chain.at(-1) as Process;
    expect(circumstancesOf(own, exec, portrait).process.ancestors).toEqual([
      { pid: 12, comm: '' },
      { pid: 10, comm: 'c0' },
    ]);
    expect(circumstancesOf(own, { ...fork, pid: 13, tid: 13 }, portrait).parent).toEqual({
      id: '12.2',
      comm: '',
      detail: 'gone',
    });
    const [first, next] = chain;
    expect(circumstancesOf(own, { ...fork, pid: 11, tid: 11 }, (next as Process).portrait).parent).toEqual({
      id: '10.0',
      comm: 'c0',
      detail: 'complete',
    });
    const ofFirst = circumstancesOf(own, { ...fork, pid: 10, tid: 10 }, (first as Process).portrait);
    expect(ofFirst).not.toHaveProperty('parent');
  });

  test('is told where events of all were lost, and not how many', () => {
    const loss: Loss = { where: 'kernel', count: 5, from: 11, to: 15, kernelTime: 1n, clockOffset: 2n };
    expect(lossOf(own, loss)).toEqual({ ...loss, count: 0, from: 15 });
    expect(lossOf(own, { ...loss, where: 'journal' })).toMatchObject({ count: 0, from: 15, to: 15 });
    expect(lossOf(own, { ...loss, where: 'queue' })).toEqual({ ...loss, where: 'queue' });
    expect(lossOf(all, loss)).toBe(loss);
  });
});

describe('a process of the past', () => {
  test('is within a subtree that was watched by its mark, and else by those above it', () => {
    const process = makeProcess();
    const shellId = process.parent?.id ?? '';
    const isWithin = (portrait: Portrait, isMarked: boolean): boolean =>
      pastSubjectOf(all, portrait, () => isMarked).isWithin(shellId);
    expect([isWithin(process.portrait, true), isWithin(process.portrait, false)]).toEqual([false, true]);
    process.adoptBy(undefined);
    expect(isWithin(process.portrait, false)).toBe(false);
    process.subtrees = new Set([shellId]);
    expect([isWithin(process.portrait, true), isWithin(process.portrait, false)]).toEqual([true, true]);
  });

  test('is what it was in everything else', () => {
    const { pid, comm, exe, args, cgroup, container, uid, user } = make();
    expect(pastSubjectOf(all, make(), () => true)).toMatchObject({
      pid,
      comm,
      exe,
      args,
      cgroup,
      container,
      uid,
      user,
    });
  });
});
