import { ProcbusError } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { bindFilter, subtreesOf } from '../src/bus/bind-filter.ts';
import type { ProcessTable } from '../src/processes/process-table.ts';
import { exitOf, follow, forkOf, plainFacts, tableOf } from './support/bus.ts';

/** A table with these processes. */
function tableWith(...pids: number[]): ProcessTable {
  const table = tableOf();
  follow(table, ...pids.map((pid) => forkOf(pid, 1)));
  return table;
}

/** Has so many processes come and go at a time that the table forgets those of long before. */
function endMany(table: ProcessTable, kernelTime: bigint): void {
  for (let pid = 1000; pid < 3000; pid++) follow(table, forkOf(pid, 1, kernelTime), exitOf(pid, kernelTime));
}

const idIn = (table: ProcessTable, pid: number): string => table.get(pid)?.id ?? expect.fail();

/** The value of a condition in a bound filter. */
const valueOf = (request: object, table: ProcessTable): unknown[] =>
  bindFilter(request, table).where.map(({ value }) => value);

function refusal(request: object, table: ProcessTable): ProcbusError {
  try {
    bindFilter(request, table);
  } catch (error) {
    if (error instanceof ProcbusError) return error;
    throw error;
  }
  return expect.fail('it was accepted');
}

describe('a filter for a subtree', () => {
  test('means the process that has the pid now, by its id', () => {
    const table = tableWith(10, 11);
    expect(valueOf({ subtree: [10] }, table)).toEqual([[idIn(table, 10)]]);
    const { where, not } = bindFilter({ subtree: [10], not: { subtree: [11] } }, table);
    expect([...where, ...not].map(({ value }) => value)).toEqual([[idIn(table, 10)], [idIn(table, 11)]]);
  });

  test('is equal to others that mean the same, and not to one whose pid was given anew', () => {
    const table = tableWith(10, 11);
    const byPid = bindFilter({ subtree: [11, 10, 10] }, table);
    const byId = bindFilter({ subtree: [idIn(table, 10), idIn(table, 11)] }, table);
    expect(byPid.key).toBe(byId.key);
    follow(table, exitOf(10, 2n ** 61n), forkOf(10, 1, 2n ** 62n));
    expect(bindFilter({ subtree: [11, 10] }, table).key).not.toBe(byId.key);
    expect(valueOf({ subtree: [10] }, table)).toEqual([[idIn(table, 10)]]);
  });

  test('may be for a process that is met only now', () => {
    const table = tableOf({
      readProcess: (pid) => (pid === 5 ? { startTime: 36n, ppid: 0, facts: plainFacts } : undefined),
    });
    expect(valueOf({ subtree: [5] }, table)).toEqual([['5.10']]);
  });

  test('may be for one that has ended, by pid or id, as long as it is remembered or somebody watches it', () => {
    const table = tableWith(10);
    const id = idIn(table, 10);
    const unwatch = table.subtrees.watch(id, table.find(id));
    follow(table, exitOf(10, 2n ** 61n));
    for (const root of [10, id]) expect(valueOf({ subtree: [root] }, table)).toEqual([[id]]);
    unwatch(table.all());
    for (const root of [10, id]) expect(valueOf({ subtree: [root] }, table)).toEqual([[id]]);

    const watchAgain = table.subtrees.watch(id, table.find(id));
    endMany(table, 2n ** 61n + 61_000_000_000n);
    expect(table.find(id)).toBeUndefined();
    expect(valueOf({ subtree: [id] }, table)).toEqual([[id]]);
    expect(refusal({ subtree: [10] }, table).message).toBe('subtree: there is no process 10');
    watchAgain(table.all());
    expect(refusal({ subtree: [id] }, table).message).toBe(`subtree: there is no process ${id}`);
  });

  test.each<[string, object, string]>([
    ['pid', { subtree: [10, 99] }, 'subtree: there is no process 99'],
    ['pid under not', { subtree: [10], not: { subtree: [99] } }, 'not.subtree: there is no process 99'],
    ['id', { subtree: ['99.zz'] }, 'subtree: there is no process 99.zz'],
    ['id of a pid that lives', { subtree: ['10.zz'] }, 'subtree: there is no process 10.zz'],
    ['id that is none', { not: { subtree: ['x'] } }, 'not.subtree: there is no process x'],
  ])('is refused, with the name of the field, for an unknown %s', (_what, request, message) => {
    expect(refusal(request, tableWith(10))).toMatchObject({
      code: 'bad-filter',
      message,
      remedy: expect.stringContaining('procbus ps') as unknown,
    });
  });

  test('leaves the rest of the filter, and the request, as they are', () => {
    const table = tableWith(10);
    const request = { events: ['exec'], include: ['args'], subtree: [10], not: { comm: ['x'] } };
    const filter = bindFilter(request, table);
    expect(request.subtree).toEqual([10]);
    expect(filter).toMatchObject({ events: new Set(['exec']), include: new Set(['args']), threads: false });
    expect(filter.not.map(({ field, value }) => [field, value])).toEqual([['comm', ['x']]]);
  });
});

describe('a filter for users', () => {
  test('is accepted for those that there are', () => {
    expect(valueOf({ users: ['root'] }, tableOf())).toEqual([['root']]);
  });

  test.each<[object, string]>([
    [{ users: ['root', 'nobody at all'] }, 'users: there is no user "nobody at all"'],
    [{ not: { users: ['nobody at all'] } }, 'not.users: there is no user "nobody at all"'],
    [{ users: ['a\nb'] }, String.raw`users: there is no user "a\nb"`],
    [{ users: ['root\0'] }, String.raw`users: there is no user "root\u0000"`],
  ])('is refused, with the name of the field, for others: %j', (request, message) => {
    expect(refusal(request, tableOf())).toMatchObject({ code: 'bad-filter', message });
  });
});

test('a filter that is wrong in itself is refused before anybody is looked up', () => {
  const table = tableOf({ readProcess: () => expect.fail() });
  expect(refusal({ subtree: [10], nothing: 1 }, table).message).toContain('"nothing"');
});

test('the subtrees of a filter are those it asks for and those it excludes, each once', () => {
  const table = tableWith(10, 11);
  const filter = bindFilter({ subtree: [10, 11], not: { subtree: [11], pids: [7] } }, table);
  expect(subtreesOf(filter)).toEqual([idIn(table, 10), idIn(table, 11)]);
  expect(subtreesOf(bindFilter({ pids: [7] }, table))).toEqual([]);
});
