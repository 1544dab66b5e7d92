import { eventTypes, grantedDetails, includes, scopes, tells } from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide, defaultRules, refusal, type Granted, type Names, type Rule } from '../src/peers/policy.ts';
import { defaultLimits } from '../src/peers/quota.ts';

type Peer = Parameters<typeof decide>[2];

const peer = (uid: number, ...groups: number[]): Peer => ({ pid: 4711, uid, gid: groups[0] ?? uid, groups });

const full = { scope: 'all', detail: 'args', events: eventTypes, stats: 'all', limits: {} } as const;
const own = { scope: 'own', detail: 'ids', events: ['exec', 'exit'], stats: 'own', limits: {} } as const;

// Few ids, so that rules and peers meet.
const id = fc.nat({ max: 5 });
const anyPeer: fc.Arbitrary<Peer> = fc
  .tuple(id, fc.uniqueArray(id, { minLength: 1 }))
  .map(([uid, groups]) => peer(uid, ...groups));
const limit = fc.integer({ min: 1, max: 1e9 });
const limits = fc.record(
  {
    connections: limit,
    subscriptions: limit,
    queuedBytes: limit,
    requestsPerSecond: limit,
    workPerSecond: limit,
  },
  { requiredKeys: [] },
);
const who: fc.Arbitrary<Rule['who']> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ user: id }) },
  { weight: 4, arbitrary: fc.record({ group: id }) },
  { weight: 1, arbitrary: fc.constant('everyone' as const) },
);
const anyRule: fc.Arbitrary<Rule> = fc.record({
  who,
  scope: fc.constantFrom(...scopes),
  detail: fc.constantFrom(...grantedDetails),
  events: fc.subarray([...eventTypes]),
  stats: fc.constantFrom(...scopes),
  limits,
});
const anyRules = fc.array(anyRule, { maxLength: 6 });

/** A rule for the same peers that shows no more than another. */
const narrowed = (rule: Rule): fc.Arbitrary<Rule> =>
  fc.record({
    who: fc.constant(rule.who),
    scope: rule.scope === 'own' ? fc.constant(rule.scope) : fc.constantFrom(...scopes),
    detail: fc.constantFrom(...grantedDetails.slice(0, grantedDetails.indexOf(rule.detail) + 1)),
    events: fc.subarray([...rule.events]),
    stats: rule.stats === 'own' ? fc.constant(rule.stats) : fc.constantFrom(...scopes),
    limits,
  });

/** Rules, and the same with some of them narrowed. */
const rulesAndNarrower = anyRules.chain((rules) =>
  fc.tuple(fc.constant(rules), fc.tuple(...rules.map((rule) => fc.oneof(fc.constant(rule), narrowed(rule))))),
);

/** All that a grant lets its peer see, said one by one. */
function visible(granted: Granted | undefined): Set<string> {
  if (granted === undefined) return new Set();
  const facts = [...includes, 'comm'] as const;
  const seen = [
    ...facts.filter((fact) => tells(granted.detail, fact)).map((fact) => `fact ${fact}`),
    ...granted.events.map((type) => `event ${type}`),
  ];
  const owners = granted.scope === 'all' ? ['own', 'others'] : ['own'];
  const figures = granted.stats === 'all' ? ['own', 'others'] : ['own'];
  return new Set([
    ...owners.flatMap((owner) => seen.map((what) => `${what} of ${owner}`)),
    ...figures.map((owner) => `figures of ${owner}`),
  ]);
}

describe('a decision', () => {
  test('is that of the first rule for the peer', () => {
    fc.assert(
      fc.property(anyRules, anyPeer, (rules, asking) => {
        let expected: Granted | undefined;
        for (const rule of rules.toReversed()) {
          const { who: whom, ...rest } = rule;
          const matches =
            whom === 'everyone' ||
            ('user' in whom && whom.user === asking.uid) ||
            ('group' in whom && asking.groups.some((gid) => gid === whom.group));
          if (matches) expected = { ...rest, limits: { ...defaultLimits, ...rest.limits } };
        }
        if (expected !== undefined && asking.uid === 0) expected = { ...expected, stats: 'all' };
        expect(decide(rules, defaultLimits, asking)).toEqual(expected);
      }),
    );
  });

  test('never shows more by a narrower rule', () => {
    fc.assert(
      fc.property(rulesAndNarrower, anyPeer, ([rules, narrower], asking) => {
        const wide = visible(decide(rules, defaultLimits, asking));
        const narrow = visible(decide(narrower, defaultLimits, asking));
        expect([...narrow].filter((what) => !wide.has(what))).toEqual([]);
      }),
    );
  });

  test('is not changed by rules behind the one that is for the peer', () => {
    fc.assert(
      fc.property(anyRules, anyRules, anyPeer, (rules, more, asking) => {
        const before = decide(rules, defaultLimits, asking);
        fc.pre(before !== undefined);
        expect(decide([...rules, ...more], defaultLimits, asking)).toEqual(before);
      }),
    );
  });

  test('grants nothing to a peer that no rule is for', () => {
    const rules: Rule[] = [
      { who: { user: 1000 }, ...full },
      { who: { group: 1001 }, ...full },
    ];
    // Ids of users are none of groups, and the other way round.
    expect(decide(rules, defaultLimits, peer(1001, 1000))).toBeUndefined();
    expect(decide(rules, defaultLimits, peer(0, 0))).toBeUndefined();
    expect(decide([], defaultLimits, peer(0, 0))).toBeUndefined();
  });

  test('counts every group of the peer, not just its first', () => {
    const rules: Rule[] = [{ who: { group: 990 }, ...own }];
    expect(decide(rules, defaultLimits, peer(1000, 1000, 4, 990))).toMatchObject({ scope: 'own' });
  });

  test('takes the limits of the rule field by field, and the others from the defaults', () => {
    const rules: Rule[] = [{ who: 'everyone', ...own, limits: { connections: 2, queuedBytes: 7 } }];
    expect(decide(rules, defaultLimits, peer(1000))?.limits).toEqual({
      ...defaultLimits,
      connections: 2,
      queuedBytes: 7,
    });
  });

  test('lets root see all figures, whatever the rule says of them', () => {
    const rules: Rule[] = [{ who: 'everyone', ...own }];
    expect(decide(rules, defaultLimits, peer(0, 0))).toMatchObject({ scope: 'own', stats: 'all' });
    expect(decide(rules, defaultLimits, peer(1, 0))).toMatchObject({ scope: 'own', stats: 'own' });
  });
});

describe('without rules of anybody’s', () => {
  const rules = defaultRules({ uid: 980, groups: [990, 990, 991] });

  test.each([
    ['root', peer(0, 0)],
    ['the helper’s own user', peer(980, 980)],
    ['a member of the socket’s group', peer(1000, 1000, 990)],
    ['a member of group procbus', peer(1000, 1000, 991)],
  ])('%s sees all', (_, asking) => {
    expect(decide(rules, defaultLimits, asking)).toEqual({
      scope: 'all',
      detail: 'args',
      events: eventTypes,
      stats: 'all',
      limits: defaultLimits,
    });
  });

  test('nobody else sees anything', () => {
    expect(decide(rules, defaultLimits, peer(1000, 1000))).toBeUndefined();
    expect(decide(defaultRules({ uid: 0, groups: [] }), defaultLimits, peer(1000, 1000))).toBeUndefined();
  });

  test('nobody is named twice', () => {
    expect(rules).toHaveLength(4);
    expect(defaultRules({ uid: 0, groups: [] })).toHaveLength(1);
  });
});

describe('a refusal', () => {
  const userNames: Record<number, string> = { 0: 'root', 1000: 'anna', 1001: "CORP\\o'neil" };
  const groupNames: Record<number, string> = { 4: 'adm', 990: 'procbus', 991: 'domain users', 1000: 'anna' };
  const names: Names = {
    userName: (uid) => userNames[uid],
    groupName: (gid) => groupNames[gid],
    groupsOf: () => [],
  };
  const forGroup: Rule = { who: { group: 990 }, ...full };
  const refused = (rules: Rule[], asking: Peer, known: Partial<Names> = {}) => {
    const { code, message, remedy } = refusal(rules, asking, { ...names, ...known });
    return { code, message, remedy };
  };

  test('names the user and the groups considered, as the kernel gave them', () => {
    expect(refused([forGroup], peer(1000, 1000, 4, 20_001))).toMatchObject({
      code: 'not-granted',
      message: 'no grant is for uid 1000 (anna) or a group it is in: gid 1000 (anna), gid 4 (adm), gid 20001',
    });
    expect(refused([forGroup], peer(7))).toMatchObject({
      message: 'no grant is for uid 7 or a group it is in: none',
    });
  });

  test('names no more than 16 groups', () => {
    const groups = Array.from({ length: 19 }, (_, index) => 20_000 + index);
    const { message } = refused([forGroup], peer(1000, ...groups));
    expect(message).toMatch(/gid 20015 and 3 more$/);
    expect(refused([forGroup], peer(1000, ...groups.slice(0, 16))).message).toMatch(/gid 20015$/);
  });

  test('says which group to join, and how', () => {
    expect(refused([forGroup], peer(1000, 1000)).remedy).toBe(
      'Join group procbus: sudo usermod -aG procbus anna, then log in again.',
    );
  });

  test('says which groups would do', () => {
    const rules = [{ ...forGroup, who: { group: 4 } }, forGroup, { ...own, who: { group: 990 } }];
    expect(refused(rules, peer(1000, 1000)).remedy).toBe(
      'Join group adm (or procbus): sudo usermod -aG adm anna, then log in again.',
    );
  });

  test('gives commands that a shell reads as they are meant', () => {
    expect(refused([{ ...full, who: { group: 991 } }], peer(1001, 1001)).remedy).toBe(
      String.raw`Join group domain users: sudo usermod -aG 'domain users' 'CORP\o'\''neil', then log in again.`,
    );
  });

  test('has root grant itself what it wants', () => {
    for (const rules of [[], [forGroup]]) {
      expect(refused(rules, peer(0, 0)).remedy).toBe(
        'Add a [[grant]] with user = "root" to the configuration of procbusd.',
      );
    }
  });

  test('knows who has joined already, but after logging in', () => {
    const rules = [{ ...forGroup, who: { group: 4 } }, forGroup];
    const groupsOf = (user: string): number[] => (user === 'anna' ? [1000, 990] : []);
    expect(refused(rules, peer(1000, 1000), { groupsOf }).remedy).toBe(
      'anna is in group procbus, but was not yet when this session began: log in again, or run: newgrp procbus',
    );
  });

  test.each<[string, Rule[], Peer, string]>([
    ['no rule is for a group', [{ who: { user: 0 }, ...full }], peer(1000, 1000), '"anna"'],
    ['there are no rules', [], peer(1000, 1000), '"anna"'],
    ['no group that has a rule has a name', [{ who: { group: 999 }, ...full }], peer(1000, 1000), '"anna"'],
    ['the user has no name', [forGroup], peer(7, 7), '7'],
  ])('sends to an administrator where %s', (_, rules, asking, user) => {
    expect(refused(rules, asking).remedy).toBe(
      `Ask an administrator for a [[grant]] with user = ${user} in the configuration of procbusd.`,
    );
  });
});
