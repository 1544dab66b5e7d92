import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  conditionFields,
  maxListLength,
  parseConditions,
  type Conditions,
  type Life,
  type Subject,
} from '../src/conditions.ts';
import { matchesProcess, parseFilter } from '../src/filter.ts';
import { decodeWaitStatus } from '../src/wait-status.ts';

const container = '0123456789abcdef'.repeat(4);

/** A process of which everything is known, within the subtrees of two. */
const subject: Subject = {
  pid: 1234,
  comm: 'make',
  exe: '/usr/bin/make',
  args: ['make', '-j', 'all'],
  cgroup: '/system.slice/build.service',
  container,
  uid: 1000,
  user: 'deploy',
  isWithin: (id) => ['1234.x', '1200.y'].includes(id),
};

/** One of which as little is known as may be. */
const stranger: Subject = {
  ...subject,
  comm: '',
  exe: undefined,
  args: undefined,
  cgroup: undefined,
  container: undefined,
  user: undefined,
  isWithin: () => false,
};

const exited = (code: number): Life => ({ runtime: 1, status: code << 8 });
const killed = (signal: number): Life => ({ runtime: 1, status: signal | 0x80 });

type Row = readonly [condition: Conditions, holds: boolean, of?: Subject, life?: Life];

const rows: Readonly<Record<keyof Conditions, readonly Row[]>> = {
  pids: [
    [{ pids: [1234] }, true],
    [{ pids: [1, 1234, 7] }, true],
    [{ pids: [1235, 123] }, false],
  ],
  subtree: [
    [{ subtree: ['1234.x'] }, true],
    [{ subtree: ['1200.y'] }, true],
    [{ subtree: ['9.z', '1200.y'] }, true],
    [{ subtree: ['9.z'] }, false],
    [{ subtree: ['1200.y'] }, false, stranger],
  ],
  uids: [
    [{ uids: [1000] }, true],
    [{ uids: [0, 1000] }, true],
    [{ uids: [0] }, false],
    [{ uids: [0] }, true, { ...subject, uid: 0 }],
    [{ uids: [4_294_967_295] }, true, { ...subject, uid: 4_294_967_295 }],
  ],
  users: [
    [{ users: ['deploy'] }, true],
    [{ users: ['root', 'deploy'] }, true],
    [{ users: ['dep'] }, false],
    [{ users: ['dep*'] }, false],
    [{ users: ['deploy'] }, false, stranger],
  ],
  comm: [
    [{ comm: ['make'] }, true],
    [{ comm: ['cc1', 'm?k[a-e]'] }, true],
    [{ comm: ['mak'] }, false],
    [{ comm: ['Make'] }, false],
    [{ comm: ['*'] }, true, stranger],
    [{ comm: ['?*'] }, false, stranger],
  ],
  exe: [
    [{ exe: ['/usr/bin/make'] }, true],
    [{ exe: ['/usr/*'] }, true],
    [{ exe: ['make'] }, false],
    [{ exe: ['*'] }, false, stranger],
  ],
  args: [
    [{ args: ['make -j all'] }, true],
    [{ args: ['* -j *'] }, true],
    [{ args: ['all'] }, false],
    [{ args: ['make'] }, true, { ...subject, args: ['make'] }],
    [{ args: ['make  x'] }, true, { ...subject, args: ['make', '', 'x'] }],
    [{ args: ['*'] }, false, stranger],
  ],
  cgroup: [
    [{ cgroup: ['/system.slice/*'] }, true],
    [{ cgroup: ['/user.slice/*'] }, false],
    [{ cgroup: ['*'] }, false, stranger],
  ],
  container: [
    [{ container: ['any'] }, true],
    [{ container: ['none'] }, false],
    [{ container: [container] }, true],
    [{ container: ['0123'] }, true],
    [{ container: ['123'] }, false],
    [{ container: [`${container}0`] }, false],
    [{ container: ['none', 'any'] }, true],
    [{ container: ['any'] }, false, stranger],
    [{ container: ['none'] }, true, { ...stranger, cgroup: '/' }],
    [{ container: ['none'] }, false, stranger],
    [{ container: ['none', '0123'] }, true, { ...stranger, cgroup: '/' }],
    [{ container: ['0123'] }, false, stranger],
    [{ container: ['none'] }, false, { ...subject, container: 'nonesuch' }],
  ],
  exit: [
    [{ exit: ['failed'] }, true, subject, exited(3)],
    [{ exit: ['failed'] }, true, subject, killed(9)],
    [{ exit: ['failed'] }, false, subject, exited(0)],
    [{ exit: ['failed'] }, false, subject, {}],
    [{ exit: ['failed'] }, false, subject, { runtime: 1 }],
    [{ exit: ['signaled'] }, true, subject, killed(11)],
    [{ exit: ['signaled'] }, false, subject, exited(139)],
    [{ exit: ['signaled'] }, false, subject, {}],
    [{ exit: [0] }, true, subject, exited(0)],
    [{ exit: [0] }, false, subject, killed(9)],
    [{ exit: [0] }, false, subject, { runtime: 1 }],
    [{ exit: [3] }, true, subject, exited(3)],
    [{ exit: [3] }, false, subject, { status: 3 }],
    [{ exit: [255] }, true, subject, exited(255)],
    [{ exit: [1, 3, 'signaled'] }, true, subject, exited(3)],
    [{ exit: [1, 3, 'signaled'] }, true, subject, killed(3)],
    [{ exit: [1, 3, 'signaled'] }, false, subject, exited(2)],
  ],
  minRuntime: [
    [{ minRuntime: 1 }, true, subject, { runtime: 1 }],
    [{ minRuntime: 1 }, true, subject, { runtime: 1.5, status: 0 }],
    [{ minRuntime: 1 }, false, subject, { runtime: 0.999_999 }],
    [{ minRuntime: 0 }, true, subject, { runtime: 0 }],
    [{ minRuntime: 0 }, false, subject, {}],
  ],
  maxRuntime: [
    [{ maxRuntime: 1 }, true, subject, { runtime: 1 }],
    [{ maxRuntime: 1 }, true, subject, { runtime: 0 }],
    [{ maxRuntime: 1 }, false, subject, { runtime: 1.000_001 }],
    [{ maxRuntime: 0 }, true, subject, { runtime: 0 }],
    [{ maxRuntime: 1e9 }, false, subject, {}],
  ],
};

describe('a condition', () => {
  const all = Object.values(rows)
    .flat()
    .map(([condition, holds, of = subject, life = {}]) => ({ condition, holds, of, life }));

  test.each(all)('$condition holds: $holds', ({ condition, holds, of, life }) => {
    const [only] = parseConditions({ ...condition });
    expect(only?.holds(of, life)).toBe(holds);
    expect(matchesProcess(parseFilter(condition), of, life)).toBe(holds);
  });

  test.each(all)('$condition holds: $holds, and lets through the others where it is excluded', (row) => {
    const { condition, holds, of, life } = row;
    expect(matchesProcess(parseFilter({ not: condition }), of, life)).toBe(!holds);
  });

  test('has rows in the table above, and is known by its field', () => {
    expect(Object.keys(rows)).toEqual(conditionFields);
    for (const rowsOfField of Object.values(rows)) expect(rowsOfField).not.toEqual([]);
  });

  test('for an exit is what its decoded status says', () => {
    const status = fc.oneof(
      fc.integer({ min: 0, max: 255 }).map((code) => code << 8),
      fc
        .tuple(fc.integer({ min: 1, max: 64 }), fc.constantFrom(0, 0x80))
        .map(([signal, core]) => signal | core),
    );
    const code = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(status, code, (raw, wanted) => {
        const { exitCode, signal } = decodeWaitStatus(raw);
        const holds = (exit: Conditions['exit']): boolean =>
          matchesProcess(parseFilter({ exit }), subject, { status: raw });
        expect(holds(['failed'])).toBe(exitCode !== 0);
        expect(holds(['signaled'])).toBe(signal !== undefined);
        expect(holds([wanted])).toBe(exitCode === wanted);
        if (exitCode !== undefined) expect(holds([exitCode])).toBe(true);
      }),
    );
  });
});

describe('a condition that is wrong', () => {
  const lists = conditionFields.filter((field) => !field.endsWith('Runtime'));
  const entryOf = (field: keyof Conditions, index: number): unknown =>
    ['pids', 'uids', 'exit', 'subtree'].includes(field) ? index + 1 : `x${index}`;

  const refusal = (message: unknown): unknown =>
    expect.objectContaining({ name: 'ProcbusError', code: 'bad-filter', message });

  test.each(lists)('is refused: %s that is no list, or empty, or too long', (field) => {
    const full = Array.from({ length: maxListLength }, (_, index) => entryOf(field, index));
    expect(() => parseFilter({ [field]: full })).not.toThrow();
    for (const [value, message] of [
      [null, 'not a list'],
      ['x', 'not a list'],
      [7, 'not a list'],
      [{ 0: 7 }, 'not a list'],
      [[], 'an empty list'],
      [[...full, full[0]], 'more than 64 entries'],
    ] as const) {
      expect(() => parseFilter({ [field]: value })).toThrow(refusal(`${field}: ${message}`));
      expect(() => parseFilter({ not: { [field]: value } })).toThrow(refusal(`not.${field}: ${message}`));
    }
  });

  test.each<[keyof Conditions, unknown, string]>([
    ['pids', 0, '0 is not a pid'],
    ['pids', -1, '-1 is not a pid'],
    ['pids', 1.5, '1.5 is not a pid'],
    ['pids', 2 ** 31, '2147483648 is not a pid'],
    ['pids', 2n ** 60n, 'bigint is not a pid'],
    ['pids', '7', '"7" is not a pid'],
    ['pids', null, 'object is not a pid'],
    ['subtree', 0, '0 is not a pid or an id of a process'],
    ['subtree', '', '"" is not a pid or an id of a process'],
    ['subtree', true, 'boolean is not a pid or an id of a process'],
    ['subtree', 'x'.repeat(257), `"${'x'.repeat(40)}" is not a pid or an id of a process`],
    ['uids', -1, '-1 is not a user id'],
    ['uids', 2 ** 32, '4294967296 is not a user id'],
    ['uids', 'root', '"root" is not a user id'],
    ['users', 0, '0 is not the name of a user'],
    ['users', '', '"" is not the name of a user'],
    ['users', 'x'.repeat(257), `"${'x'.repeat(40)}" is not the name of a user`],
    ['comm', 1, '1 is not a pattern'],
    ['exe', null, 'object is not a pattern'],
    ['args', ['a'], 'object is not a pattern'],
    ['cgroup', true, 'boolean is not a pattern'],
    ['container', '', '"" is not an id, any or none'],
    ['container', 1, '1 is not an id, any or none'],
    ['exit', -1, '-1 is not failed, signaled or an exit code'],
    ['exit', 256, '256 is not failed, signaled or an exit code'],
    ['exit', 0.5, '0.5 is not failed, signaled or an exit code'],
    ['exit', 'ok', '"ok" is not failed, signaled or an exit code'],
    ['exit', '0', '"0" is not failed, signaled or an exit code'],
  ])('is refused: %s with %s', (field, entry, message) => {
    expect(() => parseFilter({ [field]: [entry] })).toThrow(refusal(`${field}: ${message}`));
    const behind = [entryOf(field, 1), entry];
    expect(() => parseFilter({ not: { [field]: behind } })).toThrow(refusal(`not.${field}: ${message}`));
  });

  test.each<[unknown, string]>([
    [-0.001, '-0.001'],
    [Infinity, 'Infinity'],
    [NaN, 'NaN'],
    ['1s', '"1s"'],
    [2n ** 60n, 'bigint'],
    [null, 'object'],
    [[1], 'object'],
  ])('is refused: a runtime of %s', (value, shown) => {
    for (const field of ['minRuntime', 'maxRuntime']) {
      const message = `${field}: ${shown} is not a number of seconds`;
      expect(() => parseFilter({ [field]: value })).toThrow(refusal(message));
      expect(() => parseFilter({ not: { [field]: value } })).toThrow(refusal(`not.${message}`));
    }
  });

  test.each(['', '[', '[]', 'x\\', 'a'.repeat(257)])(
    'is refused: the pattern %j, wherever it stands',
    (pattern) => {
      for (const field of ['comm', 'exe', 'args', 'cgroup']) {
        const begin = (text: string): unknown => refusal(expect.stringContaining(text));
        expect(() => parseFilter({ [field]: [pattern] })).toThrow(begin(`${field}: `));
        expect(() => parseFilter({ not: { [field]: ['*', pattern] } })).toThrow(begin(`not.${field}: `));
      }
    },
  );
});
