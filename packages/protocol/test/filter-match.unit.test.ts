import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Subject } from '../src/conditions.ts';
import { eventTypes, type EventType } from '../src/event.ts';
import {
  bindSubtrees,
  isThreadEvent,
  matches,
  matchesProcess,
  parseFilter,
  type FilterRequest,
} from '../src/filter.ts';

/** In any order, none twice. */
const types = fc.uniqueArray(fc.constantFrom(...eventTypes), { minLength: 1 });

describe('a match', () => {
  const leader = { pid: 7, tid: 7 };
  const thread = { pid: 7, tid: 8 };
  const subject: Subject = {
    pid: 7,
    comm: 'make',
    exe: '/usr/bin/make',
    args: ['make', 'all'],
    cgroup: '/',
    container: undefined,
    uid: 1000,
    user: 'deploy',
    isWithin: (id) => id === '7.a',
  };

  test.each<[string, object, EventType, { pid: number; tid: number }, boolean]>([
    ['a process, asked for', { events: ['exit'] }, 'exit', leader, true],
    ['a process, of a type not asked for', { events: ['exit'] }, 'exec', leader, false],
    ['a thread, not asked for', { events: ['exit'] }, 'exit', thread, false],
    ['a thread, asked for', { events: ['exit'], threads: true }, 'exit', thread, true],
    ['a thread, of a type not asked for', { events: ['exec'], threads: true }, 'exit', thread, false],
    ['a process, where threads are asked for too', { threads: true }, 'exit', leader, true],
    ['a core dump by a thread: the process ends', {}, 'coredump', thread, true],
    [
      'a thread of a process that fulfils a condition',
      { threads: true, comm: ['make'] },
      'fork',
      thread,
      true,
    ],
    ['a thread of a process that does not', { threads: true, comm: ['cc1'] }, 'fork', thread, false],
  ])('%s', (_name, wish, type, ids, matched) => {
    expect(matches(parseFilter(wish), { type, ...ids }, subject, {})).toBe(matched);
  });

  test('is what the specification says, for every filter of types and every event', () => {
    const id = fc.integer({ min: 1, max: 3 });
    const event = fc.record({ type: fc.constantFrom(...eventTypes), pid: id, tid: id });
    fc.assert(
      fc.property(types, fc.boolean(), event, (events, threads, told) => {
        const ofThread = told.type !== 'coredump' && told.pid !== told.tid;
        expect(isThreadEvent(told)).toBe(ofThread);
        const wanted = events.includes(told.type) && (threads || !ofThread);
        expect(matches(parseFilter({ events, threads }), told, subject, {})).toBe(wanted);
      }),
      { numRuns: 1000 },
    );
  });

  test.each<[string, FilterRequest, boolean]>([
    ['no condition', {}, true],
    ['all conditions', { comm: ['make'], uids: [1000], exe: ['/usr/*'] }, true],
    ['all conditions but one', { comm: ['make'], uids: [0], exe: ['/usr/*'] }, false],
    ['any entry of a list', { comm: ['cc1', 'ld', 'm*'] }, true],
    ['nothing that is excluded', { not: { comm: ['cc1'], uids: [0] } }, true],
    [
      'one thing of all that is excluded: each is for itself',
      { not: { comm: ['cc1'], uids: [1000] } },
      false,
    ],
    ['all that is excluded', { not: { comm: ['make'], uids: [1000] } }, false],
    ['what is asked for, and what is excluded', { comm: ['make'], not: { args: ['*all'] } }, false],
    ['what is asked for, and nothing that is excluded', { comm: ['make'], not: { args: ['*clean'] } }, true],
    ['what is asked for and excluded in one', { uids: [1000], not: { uids: [1000] } }, false],
  ])('needs all conditions and none that is excluded: a process that fulfils %s', (_name, wish, matched) => {
    expect(matchesProcess(parseFilter(wish), subject, {})).toBe(matched);
    expect(matches(parseFilter(wish), { type: 'exec', ...leader }, subject, {})).toBe(matched);
  });

  test('with a process does not look at types and threads', () => {
    expect(matchesProcess(parseFilter({ events: ['exit'] }), subject, {})).toBe(true);
  });
});

describe('bindSubtrees', () => {
  const idOf = (root: number | string, field: string): string => `${field}:${root}`;

  test('puts ids in the place of pids, each under the name of its field', () => {
    const wish: FilterRequest = { subtree: [7, '8.a'], not: { subtree: [9], comm: ['x'] }, comm: ['y'] };
    expect(bindSubtrees(wish, idOf)).toEqual({
      subtree: ['subtree:7', 'subtree:8.a'],
      not: { subtree: ['not.subtree:9'], comm: ['x'] },
      comm: ['y'],
    });
    expect(wish.subtree).toEqual([7, '8.a']);
  });

  test.each<[string, FilterRequest]>([
    ['nothing', {}],
    ['no subtree', { events: ['exec'], comm: ['x'] }],
    ['none in what is excluded', { not: { pids: [1] } }],
  ])('leaves as it is what asks for %s', (_name, wish) => {
    expect(bindSubtrees(wish, idOf)).toEqual(wish);
  });

  test('makes one key of a pid and of the id that it stands for', () => {
    const bound = [[7], ['7.a'], [7, '7.a']].map((subtree) => bindSubtrees({ subtree }, () => '7.a'));
    expect(new Set(bound.map((wish) => parseFilter(wish).key)).size).toBe(1);
  });

  test('passes on that there is no such process', () => {
    const none = (): never => {
      throw new RangeError('none');
    };
    expect(() => bindSubtrees({ not: { subtree: [7] } }, none)).toThrow(RangeError);
  });
});
