import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { conditionFields, type Conditions } from '../src/conditions.ts';
import { eventTypes, type EventType } from '../src/event.ts';
import { parseFilter, type FilterRequest } from '../src/filter.ts';
import { includes } from '../src/process.ts';

/** In any order, none twice. */
const types = fc.uniqueArray(fc.constantFrom(...eventTypes), { minLength: 1 });

const sameSet = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((item) => b.includes(item));

/** Few enough values that two of these are often the same. */
const fewOf = <Value>(...values: Value[]): fc.Arbitrary<Value[]> =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1 });

const conditions: fc.Arbitrary<Conditions> = fc.record(
  {
    pids: fewOf(2, 10),
    subtree: fewOf<number | string>(10, 2, '10', 'a'),
    uids: fewOf(0, 4_294_967_295),
    users: fewOf('root', 'nobody'),
    comm: fewOf('a*', 'b'),
    container: fewOf('any', 'none'),
    exit: fewOf<number | 'failed' | 'signaled'>('failed', 3, 'signaled', 20),
    minRuntime: fc.constantFrom(0, 0.5),
  },
  { requiredKeys: [] },
);

const request: fc.Arbitrary<FilterRequest & { events: EventType[]; threads: boolean }> = fc
  .tuple(
    conditions,
    fc.record({ events: types, threads: fc.boolean() }),
    fc.record(
      { include: fc.uniqueArray(fc.constantFrom(...includes)), not: conditions },
      { requiredKeys: [] },
    ),
  )
  .map(([where, what, more]) => Object.assign({}, where, what, more));

/** The same wish in other words: lists backwards and twice, fields in reverse. */
function reworded(wish: object): Record<string, unknown> {
  const entries = Object.entries(wish).map(([field, value]: [string, unknown]) => {
    if (Array.isArray(value)) return [field, [...value, ...value].toReversed()] as const;
    return [field, typeof value === 'object' ? reworded(value as object) : value] as const;
  });
  return Object.fromEntries(entries.toReversed());
}

/** What a wish asks for, with sets in place of lists: equal if and only if two ask for the same. */
function meaningOf(wish: object): Record<string, unknown> {
  const meaning = Object.entries(wish).map(([field, value]: [string, unknown]) => {
    if (Array.isArray(value)) return [field, new Set(value)] as const;
    return [field, typeof value === 'object' ? meaningOf(value as object) : value] as const;
  });
  // No list of extras, and nothing excluded, ask for nothing.
  return Object.fromEntries(
    meaning.filter(([field, value]) => {
      if (field === 'include') return (value as Set<unknown>).size > 0;
      return field !== 'not' || Object.keys(value as object).length > 0;
    }),
  );
}

const isEqual = (a: unknown, b: unknown): boolean => {
  if (a instanceof Set && b instanceof Set)
    return sameSet([...(a as Set<unknown>)], [...(b as Set<unknown>)]);
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return (
    sameSet(Object.keys(left), Object.keys(right)) &&
    Object.keys(left).every((key) => isEqual(left[key], right[key]))
  );
};

const refused = (message: unknown): unknown =>
  expect.objectContaining({ name: 'ProcbusError', code: 'bad-filter', message });

describe('a filter', () => {
  test('asks for all types of whole processes where it says nothing', () => {
    expect(parseFilter({})).toMatchObject({
      events: new Set(eventTypes),
      threads: false,
      include: new Set(),
      where: [],
      not: [],
    });
  });

  test('takes what is undefined for left out', () => {
    const fields = ['events', 'threads', 'include', 'not', ...conditionFields];
    const nothing = Object.fromEntries(fields.map((field) => [field, undefined]));
    expect(parseFilter(nothing).key).toBe(parseFilter({}).key);
    expect(parseFilter({ include: [], not: {} }).key).toBe(parseFilter({}).key);
    expect(parseFilter({ not: { pids: undefined } }).key).toBe(parseFilter({}).key);
  });

  test('asks for what it names', () => {
    const filter = parseFilter({
      events: ['exit', 'exec', 'exec'],
      threads: true,
      include: ['args', 'exe', 'args'],
      comm: ['b', 'a', 'b'],
      minRuntime: 2,
      not: { pids: [2, 1] },
    });
    expect([...filter.events]).toEqual(['exec', 'exit']);
    expect(filter.threads).toBe(true);
    expect([...filter.include]).toEqual(['exe', 'args']);
    expect(filter.where.map(({ field, value }) => [field, value])).toEqual([
      ['comm', ['a', 'b']],
      ['minRuntime', 2],
    ]);
    expect(filter.not.map(({ field, value }) => [field, value])).toEqual([['pids', [1, 2]]]);
  });

  test('has the key of every filter that asks for the same, and of no other', () => {
    fc.assert(
      fc.property(request, request, (a, b) => {
        expect(parseFilter(a).key === parseFilter(b).key).toBe(isEqual(meaningOf(a), meaningOf(b)));
        expect(parseFilter(reworded(a)).key).toBe(parseFilter(a).key);
      }),
      { numRuns: 1000 },
    );
  });

  test('has another key where one thing is another', () => {
    const wish = {
      events: ['exec'],
      include: ['exe'],
      comm: ['a'],
      exe: ['a'],
      exit: [1, 'failed'],
      maxRuntime: 1,
      not: { comm: ['a'] },
    };
    const others: object[] = [
      { events: ['exit'] },
      { threads: true },
      { include: ['args'] },
      { include: [] },
      { comm: ['b'] },
      { comm: ['a', 'b'] },
      { exe: undefined, args: ['a'] },
      { exit: [1] },
      { exit: ['failed'] },
      { maxRuntime: undefined, minRuntime: 1 },
      { not: {} },
      { not: { exe: ['a'] } },
      { comm: undefined },
    ];
    const keys = [{}, ...others].map((other) => parseFilter({ ...wish, ...other }).key);
    expect(new Set(keys).size).toBe(keys.length);
  });

  const longPatterns = (count: number, length: number): string[] =>
    Array.from({ length: count }, (_, index) => String(index).repeat(length));

  test('may have patterns of 2,048 characters together, wherever they stand, and no more', () => {
    const full = { comm: longPatterns(4, 256), not: { args: longPatterns(4, 256) } };
    expect(() => parseFilter(full)).not.toThrow();
    expect(() => parseFilter({ ...full, exe: ['*'] })).toThrow(
      refused('patterns of 2049 characters, more than 2048'),
    );
    const { not } = full;
    expect(() => parseFilter({ ...full, not: { ...not, cgroup: ['*'] } })).toThrow(
      refused(expect.any(String)),
    );
    // What is no pattern does not count.
    expect(() => parseFilter({ ...full, users: longPatterns(10, 200) })).not.toThrow();
  });

  test('has its patterns counted by characters, whatever planes these are of', () => {
    const full = {
      comm: Array.from({ length: 8 }, (_, index) => String.fromCodePoint(0x1f600 + index).repeat(256)),
    };
    expect(() => parseFilter(full)).not.toThrow();
    expect(() => parseFilter({ ...full, args: ['*'] })).toThrow(
      refused('patterns of 2049 characters, more than 2048'),
    );
  });

  test.each<[string, unknown, string]>([
    ['nil', null, 'the filter is not a map'],
    ['missing', undefined, 'the filter is not a map'],
    ['a list', ['exec'], 'the filter is not a map'],
    ['a string', 'exec', 'the filter is not a map'],
    ['with an unknown field', { event: ['exec'] }, 'unknown field "event"'],
    ['with a long unknown field', { ['x'.repeat(9999)]: 1 }, `unknown field "${'x'.repeat(40)}"`],
    ['with a field of Object.prototype', { constructor: ['x'] }, 'unknown field "constructor"'],
    ['threads: a number', { threads: 1 }, 'threads: not true or false'],
    ['threads: nil', { threads: null }, 'threads: not true or false'],
    ['events: nil', { events: null }, 'events: not a list of names'],
    ['events: a string', { events: 'exec' }, 'events: not a list of names'],
    ['events: none', { events: [] }, 'events: an empty list'],
    ['events: an unknown one', { events: ['exec', 'Exit'] }, 'events: there is no "Exit"'],
    ['events: lost', { events: ['lost'] }, 'events: there is no "lost"'],
    ['events: a number', { events: [1] }, 'events: there is no 1'],
    ['events: a map', { events: [{}] }, 'events: there is no object'],
    ['events: a long one', { events: ['y'.repeat(9999)] }, `events: there is no "${'y'.repeat(40)}"`],
    ['include: nil', { include: null }, 'include: not a list of names'],
    ['include: a string', { include: 'exe' }, 'include: not a list of names'],
    ['include: an unknown one', { include: ['exe', 'env'] }, 'include: there is no "env"'],
    ['not: nil', { not: null }, 'not is not a map'],
    ['not: a list', { not: [{}] }, 'not is not a map'],
    ['not: an unknown field', { not: { name: ['x'] } }, 'unknown field "not.name"'],
    ['not: types of events', { not: { events: ['exec'] } }, 'unknown field "not.events"'],
    ['not: within not', { not: { not: {} } }, 'unknown field "not.not"'],
  ])('that is wrong is refused, naming the field: %s', (_name, wrong, message) => {
    expect(() => parseFilter(wrong)).toThrow(refused(message));
  });

  test('that is wrong is refused with what would be right, where that is a choice', () => {
    const remedy = (text: string): unknown =>
      expect.objectContaining({ remedy: expect.stringContaining(text) as string });
    expect(() => parseFilter({ event: [] })).toThrow(
      remedy('Known fields are events, threads, include, not, pids,'),
    );
    expect(() => parseFilter({ not: { event: [] } })).toThrow(remedy('Known fields are pids, subtree,'));
    expect(() => parseFilter({ include: ['x'] })).toThrow(remedy('Known are exe, args, cwd,'));
  });
});
