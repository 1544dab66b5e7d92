import { beforeEach, describe, expect, test } from 'vitest';
import type { Process } from '../src/processes/process.ts';
import type { ProcessTable } from '../src/processes/process-table.ts';
import { exitOf, follow, forkOf, plainFacts, tableOf } from './support/bus.ts';

let table: ProcessTable;
/** Who adopts the children of those that end, by child; init where nothing is said. */
let adopters: Map<number, number>;
let time: bigint;

beforeEach(() => {
  adopters = new Map();
  table = tableOf({ parentOf: (pid) => adopters.get(pid) });
  time = 2n ** 60n;
  follow(table, forkOf(1, 0, time));
});

/** Has a process fork; a second later each time, as no machine gives a pid anew at once. */
function fork(ppid: number, ...children: number[]): void {
  for (const pid of children) follow(table, forkOf(pid, ppid, (time += 1_000_000_000n)));
}

function exit(...pids: number[]): void {
  for (const pid of pids) follow(table, exitOf(pid, (time += 1_000_000_000n)));
}

const processOf = (pid: number): Process => table.get(pid) ?? expect.fail(`there is no process ${pid}`);

/** Watches what descends from a process. */
function watch(pid: number): { id: string; end: () => void } {
  const { id } = processOf(pid);
  const unwatch = table.subtrees.watch(id, table.find(id));
  return { id, end: () => unwatch(table.all()) };
}

/** The pids of those that live and are within a subtree. */
function within({ id }: { id: string }): number[] {
  return [...table.living.values()].filter(({ portrait }) => portrait.isWithin(id)).map(({ pid }) => pid);
}

/** All marks there are. */
function marks(): string[] {
  return [...table.all()].flatMap(({ subtrees }) => Array.from(subtrees));
}

describe('a watched subtree', () => {
  test('is the process, all that descend from it now, and all that will', () => {
    fork(1, 10, 20);
    fork(10, 11, 12);
    fork(11, 13);
    const watched = watch(10);
    expect(within(watched)).toEqual([10, 11, 12, 13]);
    fork(13, 14);
    fork(10, 15);
    fork(20, 21);
    fork(14, 16);
    expect(within(watched)).toEqual([10, 11, 12, 13, 14, 15, 16]);
  });

  test('keeps what becomes a daemon by a double fork', () => {
    fork(1, 10);
    const watched = watch(10);
    fork(10, 11);
    fork(11, 12);
    exit(11);
    expect(processOf(12).parent?.pid).toBe(1);
    expect(within(watched)).toEqual([10, 12]);
    fork(12, 13);
    exit(12);
    expect(within(watched)).toEqual([10, 13]);
  });

  test('keeps what is adopted by a subreaper, and does not take in what that one has', () => {
    fork(1, 5);
    fork(5, 6, 10);
    fork(10, 11);
    const watched = watch(10);
    adopters.set(11, 5);
    exit(10);
    expect(processOf(11).parent?.pid).toBe(5);
    fork(5, 7);
    fork(11, 12);
    expect(within(watched)).toEqual([11, 12]);
  });

  test('of a subreaper does not take in strangers that it adopts', () => {
    fork(1, 10, 20);
    fork(20, 21);
    const watched = watch(10);
    adopters.set(21, 10);
    exit(20);
    expect(processOf(21).parent?.pid).toBe(10);
    expect(within(watched)).toEqual([10]);
  });

  test('outlives its root', () => {
    fork(1, 10);
    fork(10, 11);
    const watched = watch(10);
    exit(10);
    fork(11, 12);
    expect(within(watched)).toEqual([11, 12]);
    expect(table.subtrees.isWatched(watched.id)).toBe(true);
  });

  test('leaves nothing to those who get the pid of its root, or of what descends from it', () => {
    fork(1, 10);
    fork(10, 11);
    const watched = watch(10);
    exit(11, 10);
    fork(1, 10, 11);
    fork(10, 12);
    expect(within(watched)).toEqual([]);
    for (const pid of [10, 11, 12]) expect(processOf(pid).subtrees.size).toBe(0);
  });

  test('leaves nothing to those who get a pid whose end was lost', () => {
    fork(1, 10);
    fork(10, 11);
    const watched = watch(10);
    fork(1, 11, 10);
    fork(10, 12);
    expect(within(watched)).toEqual([]);
  });

  test('has, when they have ended, those that were in it', () => {
    fork(1, 10);
    const { id, end } = watch(10);
    fork(10, 11);
    exit(11);
    const [ended] = table.endedBefore(time);
    const before = ended?.portrait;
    expect(before?.isWithin(id)).toBe(true);
    end();
    expect(ended?.portrait.isWithin(id)).toBe(false);
    // What somebody may ask for later is what was true then.
    expect(before?.isWithin(id)).toBe(true);
  });

  test('takes in a descendant that is met later, where its parent is known', () => {
    table = tableOf({
      readProcess: (pid) =>
        pid === 12 ? { startTime: time, ppid: 11, facts: plainFacts, readAt: 0n } : undefined,
    });
    fork(1, 10);
    fork(10, 11);
    const watched = watch(10);
    expect(processOf(12).portrait.isWithin(watched.id)).toBe(true);
  });
});

describe('the marks of a subtree', () => {
  test('are gone when nobody watches it any more', () => {
    fork(1, 10);
    fork(10, 11);
    const watched = watch(10);
    fork(11, 12);
    exit(11);
    expect(marks()).toEqual([watched.id, watched.id, watched.id]);
    watched.end();
    expect(marks()).toEqual([]);
    expect(table.subtrees.isWatched(watched.id)).toBe(false);
    fork(12, 13);
    fork(10, 14);
    expect(marks()).toEqual([]);
  });

  test('stay as long as one of two still watches, whichever comes first', () => {
    fork(1, 10);
    fork(10, 11);
    const [first, second] = [watch(10), watch(10)];
    first.end();
    fork(11, 12);
    expect(within(second)).toEqual([10, 11, 12]);
    const third = watch(10);
    second.end();
    expect(within(third)).toEqual([10, 11, 12]);
    third.end();
    expect(marks()).toEqual([]);
  });

  test('of one within another are apart', () => {
    fork(1, 10);
    fork(10, 11);
    fork(11, 12);
    const [outer, inner] = [watch(10), watch(11)];
    fork(12, 13);
    fork(10, 14);
    expect(within(outer)).toEqual([10, 11, 12, 13, 14]);
    expect(within(inner)).toEqual([11, 12, 13]);
    outer.end();
    expect(within(inner)).toEqual([11, 12, 13]);
    fork(13, 15);
    expect(within(inner)).toEqual([11, 12, 13, 15]);
    expect(new Set(marks())).toEqual(new Set([inner.id]));
    inner.end();
    expect(marks()).toEqual([]);
  });

  test('are shared by those who have the same, so that a large subtree costs little', () => {
    fork(1, 10);
    fork(10, ...Array.from({ length: 100 }, (_, index) => 100 + index));
    const [outer, inner] = [watch(1), watch(10)];
    const sets = (): number => new Set([...table.living.values()].map(({ subtrees }) => subtrees)).size;
    expect(sets()).toBeLessThanOrEqual(3);
    outer.end();
    expect(sets()).toBeLessThanOrEqual(3);
    inner.end();
    expect(marks()).toEqual([]);
  });
});
