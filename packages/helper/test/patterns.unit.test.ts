/*
 * Patterns of a filter: what they let through, and how often they look.
 */
import { matchesProcess, parseFilter, type Subject } from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Patterns, withoutPatterns } from '../src/bus/patterns.ts';
import type { Facts } from '../src/processes/process.ts';
import { plainFacts } from './support/bus.ts';

function subjectOf({ comm, exe, args, cgroup, container, uid }: Facts): Subject {
  return { pid: 7, comm, exe, args, cgroup, container, uid, user: undefined, isWithin: () => false };
}

const letter = fc.constantFrom('a', 'b', 'ab');
const programs = fc.array(
  fc
    .record({ comm: letter, args: fc.option(fc.array(letter), { nil: undefined }) })
    .map((program): Facts => Object.assign({}, plainFacts, program)),
  { minLength: 1, maxLength: 20 },
);
const globs = fc.option(fc.array(fc.constantFrom('a*', '*b', '?'), { minLength: 1 }), { nil: undefined });
const conditions = fc.record({ comm: globs, args: globs, uids: fc.constantFrom(undefined, [0], [1]) });
const filters = fc
  .record({ where: conditions, not: conditions })
  .map(({ where, not }) => Object.assign(where, { not }));

describe('patterns', () => {
  test('let through what the filter does, together with the rest of it, however often they are asked', () => {
    const asked = programs.chain((few) => fc.array(fc.constantFrom(...few), { maxLength: 100 }));
    fc.assert(
      fc.property(filters, asked, (request, facts) => {
        const filter = parseFilter(request);
        const [patterns, rest] = [new Patterns(filter), withoutPatterns(filter)];
        for (const each of facts) {
          const subject = subjectOf(each);
          const isLetThrough = matchesProcess(rest, subject, {}) && patterns.letThrough(each, subject);
          expect(isLetThrough).toBe(matchesProcess(filter, subject, {}));
        }
      }),
    );
  });

  test('look once at a program, as long as only a few others come between', () => {
    const patterns = new Patterns(parseFilter({ args: ['*x*'] }));
    let looks = 0;
    const ask = (facts: Facts): boolean => {
      const subject = { ...subjectOf(facts) };
      return patterns.letThrough(
        facts,
        Object.defineProperty(subject, 'args', { get: () => (looks++, facts.args) }),
      );
    };
    const family = Array.from({ length: 8 }, (_, nth): Facts => ({
      ...plainFacts,
      args: [nth % 2 ? 'x' : 'y'],
    }));
    for (let round = 0; round < 5; round++) {
      expect(family.map(ask)).toEqual(family.map((_, nth) => nth % 2 === 1));
    }
    expect(looks).toBe(family.length);
  });
});
