import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { eventTypes, type EventType } from '../src/event.ts';
import { isThreadEvent, matches, parseFilter } from '../src/filter.ts';

/** In any order, none twice. */
const types = fc.uniqueArray(fc.constantFrom(...eventTypes), { minLength: 1 });

const sameSet = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((item) => b.includes(item));

describe('a filter', () => {
  test('asks for all types of whole processes where it says nothing', () => {
    expect(parseFilter({})).toMatchObject({ events: new Set(eventTypes), threads: false });
    expect(parseFilter({ events: undefined, threads: undefined }).key).toBe(parseFilter({}).key);
  });

  test('asks for what it names', () => {
    const { events, threads } = parseFilter({ events: ['exit', 'exec', 'exec'], threads: true });
    expect([...events]).toEqual(['exec', 'exit']);
    expect(threads).toBe(true);
  });

  test('has the key of every filter that asks for the same, and of no other', () => {
    const request = fc.record({ events: types, threads: fc.boolean() });
    fc.assert(
      fc.property(request, request, (a, b) => {
        const equal = a.threads === b.threads && sameSet(a.events, b.events);
        expect(parseFilter(a).key === parseFilter(b).key).toBe(equal);
        const shuffled = { threads: a.threads, events: [...a.events, ...a.events].toReversed() };
        expect(parseFilter(shuffled).key).toBe(parseFilter(a).key);
      }),
      { numRuns: 1000 },
    );
  });

  test.each<[string, unknown, string]>([
    ['nil', null, 'the filter is not a map'],
    ['missing', undefined, 'the filter is not a map'],
    ['a list', ['exec'], 'the filter is not a map'],
    ['a string', 'exec', 'the filter is not a map'],
    ['with an unknown field', { event: ['exec'] }, 'unknown field "event"'],
    ['with a long unknown field', { ['x'.repeat(9999)]: 1 }, `unknown field "${'x'.repeat(40)}"`],
    ['threads: a number', { threads: 1 }, 'threads: not true or false'],
    ['threads: nil', { threads: null }, 'threads: not true or false'],
    ['events: nil', { events: null }, 'events: not a list of one or more event types'],
    ['events: a string', { events: 'exec' }, 'events: not a list of one or more event types'],
    ['events: none', { events: [] }, 'events: not a list of one or more event types'],
    ['events: an unknown one', { events: ['exec', 'Exit'] }, 'events: no event type "Exit"'],
    ['events: lost', { events: ['lost'] }, 'events: no event type "lost"'],
    ['events: a number', { events: [1] }, 'events: no event type number'],
    ['events: a long one', { events: ['y'.repeat(9999)] }, `events: no event type "${'y'.repeat(40)}"`],
  ])('that is wrong is refused, naming the field: %s', (_name, request, message) => {
    expect(() => parseFilter(request)).toThrow(
      expect.objectContaining({ name: 'ProcbusError', code: 'bad-filter', message }),
    );
  });
});

describe('a match', () => {
  const leader = { pid: 7, tid: 7 };
  const thread = { pid: 7, tid: 8 };

  test.each<[string, object, EventType, { pid: number; tid: number }, boolean]>([
    ['a process, asked for', { events: ['exit'] }, 'exit', leader, true],
    ['a process, of a type not asked for', { events: ['exit'] }, 'exec', leader, false],
    ['a thread, not asked for', { events: ['exit'] }, 'exit', thread, false],
    ['a thread, asked for', { events: ['exit'], threads: true }, 'exit', thread, true],
    ['a thread, of a type not asked for', { events: ['exec'], threads: true }, 'exit', thread, false],
    ['a process, where threads are asked for too', { threads: true }, 'exit', leader, true],
    ['a core dump by a thread: the process ends', {}, 'coredump', thread, true],
  ])('%s', (_name, request, type, ids, matched) => {
    expect(matches(parseFilter(request), { type, ...ids })).toBe(matched);
  });

  test('is what the specification says, for every filter and event', () => {
    const id = fc.integer({ min: 1, max: 3 });
    const event = fc.record({ type: fc.constantFrom(...eventTypes), pid: id, tid: id });
    fc.assert(
      fc.property(types, fc.boolean(), event, (events, threads, told) => {
        const ofThread = told.type !== 'coredump' && told.pid !== told.tid;
        expect(isThreadEvent(told)).toBe(ofThread);
        const wanted = events.includes(told.type) && (threads || !ofThread);
        expect(matches(parseFilter({ events, threads }), told)).toBe(wanted);
      }),
      { numRuns: 1000 },
    );
  });
});
