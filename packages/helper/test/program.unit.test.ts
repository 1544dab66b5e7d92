/*
 * Whose program it is: what an exec, a new name and a change of users make of that.
 */
import type { KernelEvent } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import type { FoundProcess } from '../src/processes/facts.ts';
import type { Facts, Image } from '../src/processes/process.ts';
import type { Proc, ProcessTable } from '../src/processes/process-table.ts';
import { Reconciler } from '../src/processes/reconciler.ts';
import { eventOf, exitOf, follow, forkOf, plainFacts, tableOf } from './support/bus.ts';

const uidOf = (uid: number, euid = uid): KernelEvent => ({ ...eventOf('exec', 7), type: 'uid', uid, euid });
const commOf = (comm: string, kernelTime = 2n ** 61n): KernelEvent => ({
  ...eventOf('exec', 7),
  kernelTime,
  type: 'comm',
  comm,
});

/** What is read of a program that user 1000 has begun, and that cannot be told from another one. */
const image: Image = {
  comm: 'make',
  exe: '/bin/make',
  args: ['make'],
  cwd: '/',
  detail: 'complete',
  begunBy: 1000,
};
const gone: Image = { comm: '', detail: 'gone' };

/** A table in which user 1000 has begun the program of process 7, and whose next programs are these. */
function tableWith(...images: Image[]): ProcessTable {
  const waiting = [image, ...images];
  const table = tableOf({ imageOf: () => waiting.shift() ?? expect.fail() });
  follow(table, forkOf(7, 1), uidOf(1000), eventOf('exec', 7));
  expect(factsOf(table).begunBy).toBe(1000);
  return table;
}

/** Has /proc looked at, where there is only process 7. */
function look(table: ProcessTable, found: FoundProcess): void {
  const proc: Proc = {
    listPids: () => [7],
    readProcess: () => found,
    parentOf: () => 0,
    isHidden: () => false,
    imageOf: () => expect.fail(),
  };
  const reconciler = new Reconciler(
    table,
    proc,
    () => undefined,
    (events) => void [...events],
  );
  reconciler.look();
  reconciler.close();
}

const factsOf = (table: ProcessTable, pid = 7): Facts => table.living.get(pid)?.facts ?? expect.fail();

describe('who began a program', () => {
  test('is the real user, also where the program acts for somebody else', () => {
    const table = tableWith(image);
    follow(table, uidOf(1000, 0), eventOf('exec', 7));
    expect(factsOf(table)).toMatchObject({ uid: 1000, euid: 0, begunBy: 1000 });
  });

  test('stays the same until there is another program, and is so for those it forks', () => {
    const table = tableWith({ ...image, begunBy: 1001 });
    follow(table, uidOf(1001), forkOf(8, 7), commOf('other'));
    expect([factsOf(table), factsOf(table, 8)]).toMatchObject([
      { uid: 1001, begunBy: 1000, comm: 'other' },
      { uid: 1001, begunBy: 1000, comm: 'make' },
    ]);
    follow(table, eventOf('exec', 7));
    expect([factsOf(table).begunBy, factsOf(table, 8).begunBy]).toEqual([1001, 1000]);
  });

  test('is not known where users changed while it was read', () => {
    for (const begunBy of [0, 1001, undefined]) {
      const table = tableWith({ ...image, begunBy });
      follow(table, eventOf('exec', 7));
      expect(factsOf(table)).toMatchObject({ comm: 'make', begunBy: undefined });
    }
  });

  test('is not known of a program of which nobody knows who began the one before, where that one is kept', () => {
    for (const next of [gone, { ...image, comm: '' }, { ...image, cwd: undefined }]) {
      const table = tableWith({ ...next, begunBy: 1001 }, { ...next, begunBy: 1000 });
      follow(table, uidOf(1001), eventOf('exec', 7));
      expect(factsOf(table).begunBy).toBeUndefined();
      follow(table, uidOf(1000), eventOf('exec', 7));
      expect(factsOf(table).begunBy).toBeUndefined();
    }
  });

  test('is known of one that nobody could read, where the same user began what is kept', () => {
    const table = tableWith(gone, { ...gone, cwd: '/secret', begunBy: 0 });
    follow(table, eventOf('exec', 7));
    expect(factsOf(table)).toMatchObject({ comm: 'make', detail: 'gone', begunBy: 1000 });
    expect([factsOf(table).exe, factsOf(table).args]).toEqual([undefined, undefined]);
    // Something of it could be read, and somebody else has begun that.
    follow(table, eventOf('exec', 7));
    expect(factsOf(table).begunBy).toBeUndefined();
  });

  test('is not known of processes that nobody knew', () => {
    const table = tableOf();
    follow(table, exitOf(9, 1n), forkOf(8, 9), uidOf(1000));
    expect([...table.living.values()].map(({ facts }) => facts.begunBy)).toEqual([undefined, undefined]);
  });
});

describe('what happened to a process before /proc told of it', () => {
  const readAt = 2n ** 60n + 1000n;
  const before = 2n ** 60n + 500n;
  const begun: Facts = { ...plainFacts, ...image, uid: 1000, euid: 1000 };

  /** A table that has met process 7 on the occasion of an event. */
  function meeting(event: KernelEvent, facts: Facts, next: Image = image): Facts {
    const found: FoundProcess = { startTime: 1n, ppid: 0, facts, readAt };
    const table = tableOf({ readProcess: (pid) => (pid === 7 ? found : undefined), imageOf: () => next });
    follow(table, event);
    return factsOf(table);
  }
  const execAt = (kernelTime: bigint): KernelEvent => ({ ...eventOf('exec', 7), kernelTime });

  test('may have been of another program than the present user began', () => {
    const other = { ...image, args: ['secret'] };
    expect(meeting(execAt(before), begun, other)).toMatchObject({ args: ['secret'], begunBy: undefined });
    expect(meeting(execAt(before), { ...begun, begunBy: undefined }).begunBy).toBeUndefined();
    expect(meeting(commOf('secret', before), begun)).toMatchObject({ comm: 'secret', begunBy: undefined });
    const ofThread = { ...commOf('secret', before), tid: 9 };
    expect(meeting(ofThread, begun)).toMatchObject({ comm: 'make', begunBy: undefined });
  });

  test('tells nothing of others where it is what is known anyway', () => {
    expect(meeting(execAt(before), begun).begunBy).toBe(1000);
    expect(meeting(commOf('make', before), begun).begunBy).toBe(1000);
  });

  test('does not matter to what happens from then on', () => {
    const other = { ...image, args: ['other'] };
    expect(meeting(execAt(readAt), begun, other).begunBy).toBe(1000);
    expect(meeting(execAt(readAt), { ...begun, begunBy: undefined }, other).begunBy).toBe(1000);
    expect(meeting(commOf('other', readAt), begun).begunBy).toBe(1000);
  });
});

describe('what was forked before /proc told of its parent', () => {
  test('may have been forked by another program than its parent runs by then', () => {
    const begun: Facts = { ...plainFacts, ...image, uid: 1000, euid: 1000 };
    const found: FoundProcess = { startTime: 1n, ppid: 0, facts: begun, readAt: 2n ** 60n + 1000n };
    const table = tableOf({ readProcess: (pid) => (pid === 7 ? found : undefined) });
    follow(table, forkOf(8, 7, 2n ** 60n), forkOf(9, 7, 2n ** 60n + 1000n));
    expect([8, 9].map((pid) => factsOf(table, pid).begunBy)).toEqual([undefined, 1000]);
    follow(table, { ...commOf('secret'), pid: 8, tid: 8 });
    expect(factsOf(table, 8)).toMatchObject({ comm: 'secret', begunBy: undefined });
  });
});

describe('after a loss', () => {
  /** Has a table follow events, before some of which others were lost. */
  const followLossy = (table: ProcessTable, ...events: KernelEvent[]): void => {
    for (const told of table.follow(events, true)) void told;
  };

  test('nobody is told a name that may be of a program that nobody told of', () => {
    const table = tableWith({ ...image, comm: 'next' });
    followLossy(table, forkOf(8, 7), commOf('other'), { ...commOf('thread'), pid: 8, tid: 9 });
    expect([factsOf(table), factsOf(table, 8)]).toMatchObject([
      { comm: 'other', begunBy: undefined },
      { comm: 'make', begunBy: undefined },
    ]);
    follow(table, eventOf('exec', 7));
    expect(factsOf(table)).toMatchObject({ comm: 'next', begunBy: 1000 });
  });

  test('names are told again once /proc has been looked at', () => {
    const table = tableWith();
    followLossy(table);
    const facts: Facts = { ...plainFacts, ...image, uid: 1001, euid: 1001, begunBy: 1001 };
    look(table, { startTime: 2n ** 60n + 7n, ppid: 0, facts, readAt: 2n ** 60n + 1000n });
    expect(factsOf(table)).toMatchObject({ uid: 1001, begunBy: 1001 });
    follow(table, commOf('other'));
    expect(factsOf(table)).toMatchObject({ comm: 'other', begunBy: 1001 });
  });

  test('a program that may not be looked into any more is nobody’s where users have changed', () => {
    const closed: Facts = {
      ...plainFacts,
      comm: 'make',
      detail: 'partial',
      uid: 1001,
      euid: 1001,
      begunBy: 1001,
    };
    const table = tableWith();
    look(table, { startTime: 2n ** 60n + 7n, ppid: 0, facts: closed, readAt: 2n ** 60n + 1000n });
    // What it was given is kept, as far as anybody knows.
    expect(factsOf(table)).toMatchObject({ uid: 1001, args: ['make'], begunBy: undefined });
    const same = tableWith();
    const ofSame = { ...closed, uid: 1000, euid: 1000, begunBy: 1000 };
    look(same, { startTime: 2n ** 60n + 7n, ppid: 0, facts: ofSame, readAt: 2n ** 60n + 1000n });
    expect(factsOf(same)).toMatchObject({ uid: 1000, args: ['make'], begunBy: 1000 });
  });
});

test('a new name of a thread changes nothing', () => {
  const table = tableWith();
  const facts = factsOf(table);
  follow(table, { ...commOf('thread'), tid: 9 });
  expect(factsOf(table)).toBe(facts);
});

test('an exit of a thread that is told behind that of its process is of this process', () => {
  const table = tableWith();
  const { portrait } = table.living.get(7) ?? expect.fail();
  follow(table, exitOf(7, 2n ** 61n));
  const late: KernelEvent = { ...exitOf(7, 2n ** 61n + 1n), tid: 9 };
  expect([...table.follow([late])]).toEqual([{ event: late, process: portrait, formerUid: undefined }]);
  expect(table.living.has(7)).toBe(false);
});
