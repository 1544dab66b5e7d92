import { fullGrant, ProcbusError, type Grant } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { bindFilter } from '../src/bus/bind-filter.ts';
import type { Asker } from '../src/bus/selection.ts';
import type { Facts } from '../src/processes/process.ts';
import type { ProcessTable } from '../src/processes/process-table.ts';
import { exitOf, follow, forkOf, plainFacts, root, tableOf } from './support/bus.ts';

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
const valueOf = (request: object, table: ProcessTable, asker = root): unknown[] =>
  bindFilter(request, asker, table).filter.where.map(({ value }) => value);

function refusal(request: object, table: ProcessTable, asker = root): ProcbusError {
  try {
    bindFilter(request, asker, table);
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
    const { where, not } = bindFilter({ subtree: [10], not: { subtree: [11] } }, root, table).filter;
    expect([...where, ...not].map(({ value }) => value)).toEqual([[idIn(table, 10)], [idIn(table, 11)]]);
  });

  test('is equal to others that mean the same, and not to one whose pid was given anew', () => {
    const table = tableWith(10, 11);
    const byPid = bindFilter({ subtree: [11, 10, 10] }, root, table);
    const byId = bindFilter({ subtree: [idIn(table, 10), idIn(table, 11)] }, root, table);
    expect(byPid.key).toBe(byId.key);
    follow(table, exitOf(10, 2n ** 61n), forkOf(10, 1, 2n ** 62n));
    expect(bindFilter({ subtree: [11, 10] }, root, table).key).not.toBe(byId.key);
    expect(valueOf({ subtree: [10] }, table)).toEqual([[idIn(table, 10)]]);
  });

  test('may be for a process that is met only now', () => {
    const table = tableOf({
      readProcess: (pid) =>
        pid === 5 ? { startTime: 36n, ppid: 0, facts: plainFacts, readAt: 0n } : undefined,
    });
    expect(valueOf({ subtree: [5] }, table)).toEqual([['5.10']]);
  });

  test('may be for one that has ended, by pid or id, as long as it is remembered or somebody watches it', () => {
    const table = tableWith(10);
    const id = idIn(table, 10);
    const unwatch = table.subtrees.watch(id, table.find(id));
    follow(table, exitOf(10, 2n ** 61n));
    for (const one of [10, id]) expect(valueOf({ subtree: [one] }, table)).toEqual([[id]]);
    unwatch(table.all());
    for (const one of [10, id]) expect(valueOf({ subtree: [one] }, table)).toEqual([[id]]);

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
    const { filter } = bindFilter(request, root, table);
    expect(request.subtree).toEqual([10]);
    expect(filter).toMatchObject({ events: new Set(['exec']), include: new Set(['args']), threads: false });
    expect(filter.not.map(({ field, value }) => [field, value])).toEqual([['comm', ['x']]]);
  });
});

describe('what stands for the roots of a subtree', () => {
  test('is told by pid, those that are excluded included, and none for an id', () => {
    const table = tableWith(10, 11, 12);
    const request = { subtree: [10, idIn(table, 12)], not: { subtree: [11, 10] } };
    expect(bindFilter(request, root, table).roots).toEqual({ 10: idIn(table, 10), 11: idIn(table, 11) });
    expect(bindFilter({ pids: [10] }, root, table).roots).toEqual({});
  });

  test.each<[string, bigint]>([
    ['', 2n ** 60n],
    [', before the time there was', -5_000_000_000n],
  ])('may be an id of an earlier run, as long as the same process lives%s', (_what, startTime) => {
    const table = tableOf({
      readProcess: (pid) => (pid === 5 ? { startTime, ppid: 0, facts: plainFacts, readAt: 0n } : undefined),
    });
    const id = `5.${startTime.toString(36)}`;
    const idAt = (start: bigint): string => `5.${start.toString(36)}`;
    for (const start of [startTime, startTime + 10_000_000n, startTime - 19_000_000n]) {
      expect(valueOf({ subtree: [idAt(start)] }, table)).toEqual([[id]]);
    }
    for (const start of [startTime + 21_000_000n, startTime - 1_000_000_000n, 0n]) {
      expect(refusal({ subtree: [idAt(start)] }, table).code).toBe('bad-filter');
    }
  });

  test.each(['5.', '.10', '5', '05.10', '5.1.0', '5.--1', '5.1A', '99999999999.10', '5.zzzzzzzzzzzzz'])(
    'is no id that only looks like one: %j',
    (id) => {
      const table = tableOf({
        readProcess: () => ({ startTime: 36n, ppid: 0, facts: plainFacts, readAt: 0n }),
      });
      expect(refusal({ subtree: [id] }, table).message).toBe(`subtree: there is no process ${id}`);
    },
  );
});

describe('a filter of one who may see only their own', () => {
  const own: Asker = { uid: 1000, grant: { ...fullGrant, scope: 'own' } };
  /** A process of each of two users; both are pid 1's children. */
  const table = (): ProcessTable => {
    const users = new Map([
      [10, 1000],
      [20, 1001],
    ]);
    const factsOf = (uid = 0): Facts => ({ ...plainFacts, uid, euid: uid, begunBy: uid });
    return tableOf({
      readProcess: (pid) =>
        users.has(pid) ? { startTime: 36n, ppid: 0, facts: factsOf(users.get(pid)), readAt: 0n } : undefined,
    });
  };

  test('may begin a subtree at one of these', () => {
    for (const subtree of [[10], ['10.10']]) expect(valueOf({ subtree }, table(), own)).toEqual([['10.10']]);
  });

  test.each<[string, number | string]>([
    ['pid', 20],
    ['id', '20.10'],
    ['id of an earlier run', '20.11'],
    ['pid that nobody has', 30],
  ])('is refused for a subtree of another user as if there were none, by %s', (_what, one) => {
    const processes = table();
    expect(refusal({ subtree: [one] }, processes, own)).toEqual(
      new ProcbusError('bad-filter', `subtree: there is no process ${one}`, {
        remedy: refusal({ subtree: [99] }, processes).remedy,
      }),
    );
  });

  test('is refused for a subtree of which only others know that there was one', () => {
    const processes = tableWith(10);
    const id = idIn(processes, 10);
    processes.watchSubtrees([id]);
    follow(processes, exitOf(10, 2n ** 61n));
    endMany(processes, 2n ** 61n + 61_000_000_000n);
    expect(valueOf({ subtree: [id] }, processes)).toEqual([[id]]);
    expect(refusal({ subtree: [id] }, processes, own).message).toBe(`subtree: there is no process ${id}`);
  });
});

describe('a condition on what is not granted', () => {
  const withDetail = (detail: Grant['detail']): Asker => ({ uid: 0, grant: { ...fullGrant, detail } });

  test.each<[Grant['detail'], object, string]>([
    ['ids', { comm: ['x'] }, 'comm'],
    ['ids', { exe: ['x'] }, 'exe'],
    ['ids', { not: { cgroup: ['x'] } }, 'not.cgroup'],
    ['ids', { container: ['any'] }, 'container'],
    ['names', { not: { args: ['x'] } }, 'not.args'],
    ['names', { comm: ['x'], args: ['x'] }, 'args'],
  ])('is refused, with the name of the field: %s, %j', (detail, request, field) => {
    expect(refusal(request, tableOf(), withDetail(detail))).toMatchObject({
      code: 'not-granted',
      message: `${field}: you may see no more than ${detail} of processes`,
    });
  });

  test('is accepted where it is only about numbers, and what is to be included is left out', () => {
    const request = {
      uids: [0],
      users: ['root'],
      pids: [1],
      exit: [0],
      minRuntime: 1,
      include: ['args', 'user'],
    };
    const { lens } = bindFilter(request, withDetail('ids'), tableOf());
    expect([...lens.include]).toEqual(['user']);
    expect(() => bindFilter({ comm: ['x'], cgroup: ['x'] }, withDetail('names'), tableOf())).not.toThrow();
  });
});

describe('bound filters', () => {
  const keyOf = (request: object, uid: number, grant: Partial<Grant> = {}): string =>
    bindFilter(request, { uid, grant: { ...fullGrant, ...grant } }, tableOf()).key;

  test('have one key where they show the same, whoever asks', () => {
    expect(keyOf({ include: ['user', 'exe'] }, 1)).toBe(keyOf({ include: ['exe', 'user'] }, 2));
    expect(keyOf({}, 1, { scope: 'own' })).toBe(keyOf({}, 1, { scope: 'own' }));
  });

  test('have different keys where one shows less', () => {
    const keys = [
      keyOf({ include: ['args'] }, 1),
      keyOf({ include: ['args'] }, 1, { detail: 'names' }),
      keyOf({ include: ['args'] }, 1, { detail: 'ids' }),
      keyOf({ include: ['args'] }, 1, { events: ['exec'] }),
      keyOf({ include: ['args'] }, 1, { scope: 'own' }),
      keyOf({ include: ['args'] }, 2, { scope: 'own' }),
      keyOf({}, 1),
    ];
    expect(new Set(keys).size).toBe(keys.length);
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
  const { subtrees } = bindFilter({ subtree: [10, 11], not: { subtree: [11], pids: [7] } }, root, table);
  expect(subtrees).toEqual([idIn(table, 10), idIn(table, 11)]);
  expect(bindFilter({ pids: [7] }, root, table).subtrees).toEqual([]);
});
