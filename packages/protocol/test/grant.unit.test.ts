import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pack, unpack } from '../src/codec.ts';
import { conditionFields } from '../src/conditions.ts';
import { eventTypes } from '../src/event.ts';
import { fullGrant, grantedDetails, parseGrant, scopes, tells, type Grant } from '../src/grant.ts';
import { includes } from '../src/process.ts';

const grant: fc.Arbitrary<Grant> = fc.record({
  scope: fc.constantFrom(...scopes),
  detail: fc.constantFrom(...grantedDetails),
  events: fc.subarray([...eventTypes]),
});

/** Everything that can be told of a process or asked for. */
const facts = [...new Set([...includes, ...conditionFields])];

describe('a detail', () => {
  test.each([
    ['ids', ['pids', 'subtree', 'uids', 'users', 'user', 'exit', 'minRuntime', 'maxRuntime']],
    ['names', ['comm', 'exe', 'cgroup', 'container', 'ancestors']],
    ['args', ['args', 'cwd']],
  ] as const)('of %s tells, beside what those before it tell, %j', (detail, told) => {
    const before = grantedDetails.slice(0, grantedDetails.indexOf(detail));
    const added = facts.filter((fact) => tells(detail, fact) && !before.some((less) => tells(less, fact)));
    expect(added.toSorted()).toEqual([...told].toSorted());
  });

  test('tells all that a lesser one does', () => {
    for (const fact of facts) {
      const told = grantedDetails.map((detail) => tells(detail, fact));
      expect({ fact, told }).toEqual({ fact, told: told.toSorted() });
    }
  });

  test('of args tells everything', () => {
    expect(facts.filter((fact) => !tells('args', fact))).toEqual([]);
  });
});

describe('a grant', () => {
  test('is read as it was packed', () => {
    fc.assert(
      fc.property(grant, (given) => {
        expect(parseGrant(unpack(pack(given)))).toEqual(given);
      }),
    );
  });

  test('of everything is one', () => {
    expect(parseGrant(fullGrant)).toEqual({ scope: 'all', detail: 'args', events: [...eventTypes] });
  });

  test('of a later version is read without the keys and the types of events that are not known', () => {
    const later = { ...fullGrant, events: ['fork', 'weather', 'exec', 7], until: 'tomorrow' };
    expect(parseGrant(later)).toEqual({ ...fullGrant, events: ['fork', 'exec'] });
  });

  test.each<[string, unknown]>([
    ['nil', null],
    ['nothing', undefined],
    ['a list', []],
    ['a text', 'all'],
    ['bytes', Buffer.alloc(0)],
    ['an empty map', {}],
    ['without a detail', { scope: 'all', events: [] }],
    ['without a scope', { detail: 'args', events: [] }],
    ['without events', { scope: 'all', detail: 'args' }],
    ['of a scope that is not known', { ...fullGrant, scope: 'group' }],
    ['of a detail that is not known', { ...fullGrant, detail: 'environment' }],
    ['of a detail named like a member of every list', { ...fullGrant, detail: 'length' }],
    ['whose events are a map', { ...fullGrant, events: { 0: 'fork' } }],
    ['whose events are a text', { ...fullGrant, events: 'fork' }],
  ])('that is malformed is refused: %s', (_name, value) => {
    expect(() => parseGrant(value)).toThrow(expect.objectContaining({ code: 'bad-message' }));
  });
});
