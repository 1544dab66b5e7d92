/*
 * Who sees what: a smaller grant shows nothing that a larger one does not; and whoever may see only their own
 * finds nothing in any byte that is of others.
 */
import {
  eventTypes,
  fullGrant,
  grantedDetails,
  includes,
  unpack,
  type Conditions,
  type Grant,
  type WireProcess,
} from '@procbus/protocol';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Broadcast } from '../src/bus/broadcast.ts';
import type { Asker } from '../src/bus/selection.ts';
import { packSnapshot } from '../src/bus/snapshot.ts';
import { ancestorsOf } from '../src/processes/portrait.ts';
import type { Told } from '../src/processes/told.ts';
import { batchOf, makeBus } from './support/bus.ts';
import { Keeper, listed, numberOf, type Item } from './support/keeper.ts';
import { History, type Step } from './support/model-history.ts';
import { deed } from './support/model-machine.ts';
import { allowed, family, grant, plainRequest, programs, publications, uids } from './support/streams.ts';

type Map = Readonly<Record<string, unknown>>;

/** Two grants, of which the first is part of the second. */
const nested: fc.Arbitrary<readonly [Grant, Grant]> = fc
  .tuple(grant, fc.boolean(), fc.nat(2), fc.subarray([...eventTypes]))
  .map(([large, isOwn, detail, events]) => {
    const most = grantedDetails.indexOf(large.detail);
    const small: Grant = {
      scope: isOwn ? 'own' : large.scope,
      detail: grantedDetails[Math.min(detail, most)] ?? 'ids',
      events: large.events.filter((type) => events.includes(type)),
    };
    return [small, large];
  });

/** All that a filter can ask but for `not`, which shows more where less is known. */
const asked = fc
  .record({
    filter: plainRequest,
    where: fc.constantFrom<Conditions>(
      {},
      {},
      { pids: [2, 3, 5] },
      { comm: ['?*'] },
      { args: ['*x*'] },
      { exit: [0] },
    ),
    not: fc.constantFrom<Conditions>({}, { uids: [1000] }, { pids: [4] }),
  })
  .map(({ filter, where, not }) => Object.assign({}, filter, where, { not }));

/** What of a map of a process is not also in another one, or is not left out in one of the agreed ways. */
function excessOf(small: Map, large: Map): string[] {
  return Object.entries(small).flatMap(([key, value]): string[] => {
    const other = large[key];
    if (key === 'comm' && value === '') return [];
    if (key === 'detail' && value === 'gone') return [];
    if (key === 'process' || key === 'parent') {
      return other === undefined ? [key] : excessOf(value as Map, other as Map);
    }
    if (key === 'ancestors') return excessOfLists(value as Map[], (other ?? []) as Map[]);
    return JSON.stringify(plain(value)) === JSON.stringify(plain(other)) ? [] : [key];
  });
}

/** The small one has some of the large one, in its order. */
function excessOfLists(small: readonly Map[], large: readonly Map[]): string[] {
  let at = 0;
  return small.flatMap((one) => {
    while (at < large.length && large[at]?.['pid'] !== one['pid']) at++;
    const other = large[at++];
    return other === undefined ? ['ancestors'] : excessOf(one, other);
  });
}

function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

/** What of an item is not also in that of the same number. */
function excessOfItems(small: Item, large: Item | undefined): string[] {
  if (large === undefined) return ['all of it'];
  if ('where' in small || 'where' in large) {
    if (!('where' in small) || !('where' in large)) return ['its kind'];
    const isHidden = small.count === 0 && small.from === small.to;
    const isSame = small.count === large.count && small.from === large.from;
    return small.to === large.to && small.where === large.where && (isSame || isHidden) ? [] : ['the hole'];
  }
  return small.flatMap((value, index): string[] => {
    if (index === 6) return excessOf(value as Map, large[6] as Map);
    if (index === 7 && small[0] === 'comm' && value === '') return [];
    return value === large[index] ? [] : [String(index)];
  });
}

describe('a smaller grant', () => {
  test('shows nothing of events that a larger one does not show', () => {
    let told = 0;
    let cut = 0;
    const uid = fc.constantFrom(...uids);
    fc.assert(
      fc.property(publications(12), uid, nested, asked, (all, who, grants, filter) => {
        const { broadcast, publish } = makeBus(programs);
        // What the smaller one may not ask, nobody asks.
        const request = grants.reduce(allowed, filter);
        const [small, large] = grants.map((each) => {
          const keeper = new Keeper();
          keeper.subscribeTo(broadcast, request, { uid: who, grant: each });
          return keeper;
        }) as [Keeper, Keeper];
        publish(family);
        for (const { events, lost } of all) publish(events, lost);
        broadcast.close();
        const known = new Map(large.items.map((item) => [numberOf(item), item]));
        const excess = small.items.map((item) => excessOfItems(item, known.get(numberOf(item))));
        expect(excess.flat()).toEqual([]);
        told += small.wires.length;
        cut += large.wires.length - small.wires.length;
      }),
      { numRuns: 500 },
    );
    expect(told).toBeGreaterThan(200);
    expect(cut).toBeGreaterThan(200);
  });

  test('shows nothing of a snapshot that a larger one does not show', () => {
    const uid = fc.constantFrom(...uids);
    fc.assert(
      fc.property(publications(12), uid, nested, asked, fc.boolean(), (all, who, grants, filter, ended) => {
        const { broadcast, publish } = makeBus(programs);
        publish(family);
        for (const { events, lost } of all) publish(events, lost);
        const request = grants.reduce(allowed, filter);
        const [small = [], large = []] = grants.map((each) =>
          listed(broadcast.snapshot(request, { uid: who, grant: each }, ended)),
        );
        broadcast.close();
        const known = new Map<string, WireProcess>(large.map((process) => [process.id, process]));
        for (const process of small) {
          expect(excessOf({ ...process }, { ...known.get(process.id) })).toEqual([]);
        }
      }),
      { numRuns: 300 },
    );
  });
});

const which = fc.nat({ max: 1000 });
/** Whatever happens; whoever changes hands, and begins another program, is of most interest. */
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('act' as const), deed }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('act' as const, 'act' as const, 'act' as const, 'lose' as const),
      deed: fc.record({
        verb: fc.constantFrom(
          'uid' as const,
          'exec' as const,
          'fork' as const,
          'comm' as const,
          'name a thread' as const,
        ),
        who: fc.nat({ max: 6 }),
        what: which,
        pause: fc.constant(1n),
      }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('deliver' as const), count: fc.nat({ max: 12 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('look' as const),
      ahead: fc.array(deed, { maxLength: 3 }),
      behind: fc.array(deed, { maxLength: 3 }),
    }),
  },
);

/** All strings in a value. */
function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) => [key].concat(stringsIn(one)));
}

/** One who may see only their own, and all that they come by. */
class Witness {
  readonly keeper = new Keeper();
  readonly asker: Asker;
  readonly #parts: Buffer[] = [];
  /** Ids of all processes that ever were theirs. */
  readonly #own = new Set<string>();
  /** Their own of those above a process, for each event, in the order of events. */
  readonly #above: number[][] = [];

  constructor(uid: number) {
    this.asker = { uid, grant: { ...fullGrant, scope: 'own' } };
  }

  /** Notes what is theirs while an event is told. */
  note({ table }: History, told?: Told): void {
    const { uid } = this.asker;
    for (const process of table.all()) if (process.facts.uid === uid) this.#own.add(process.id);
    if (told === undefined) return;
    if (told.process.facts.uid === uid || told.formerUid === uid) this.#own.add(told.process.id);
    this.#above.push(ancestorsOf(told.process).flatMap((link) => (link.uid === uid ? [link.pid] : [])));
  }

  subscribeTo(broadcast: Broadcast, options = {}): void {
    this.keeper.subscribeTo(broadcast, { threads: true, include: [...includes] }, this.asker, options);
  }

  list(broadcast: Broadcast): void {
    const processes = listed(broadcast.snapshot({ include: [...includes] }, this.asker, true));
    this.#parts.push(...packSnapshot(processes));
  }

  /** What was told that is of others, in whatever way it was told. */
  stolen(numbers: readonly number[]): unknown[] {
    const { uid } = this.asker;
    const packed = [...this.#parts, ...this.keeper.deliveries.map(({ packed: events }) => events)];
    const texts = packed.flatMap((bytes) => bytes.toString('latin1').match(/@by\d/g) ?? []);
    const ids = packed
      .flatMap((bytes) => stringsIn(unpack(bytes)))
      .filter((text) => /^\d+\.[0-9a-z]+$/.test(text));
    const pids = this.keeper.wires.flatMap((wire) => {
      const { process } = wire[6] as { process: { ancestors: { pid: number }[] } };
      const above = this.#above[numbers.indexOf(Number(wire[1]))] ?? [];
      return process.ancestors.filter(({ pid }) => !above.includes(pid));
    });
    const counts = this.keeper.losses.filter(({ count, from, to }) => count !== 0 || from !== to);
    return [
      ...texts.filter((text) => text !== `@by${uid}`),
      ...ids.filter((id) => !this.#own.has(id)),
      ...pids,
      ...counts,
    ];
  }

  /** How many names it was told. */
  get names(): number {
    return this.keeper.wires.filter((wire) => (wire[6] as { process: { comm: string } }).process.comm !== '')
      .length;
  }
}

describe('one who may see only their own', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate'] });
  });
  afterEach(() => void vi.useRealTimers());

  test('finds no text, no id and no number of others in what they are told, live, later or listed', () => {
    let names = 0;
    const setting = fc.record({ pids: fc.constantFrom(3, 6), isSecretive: fc.constant(false) });
    const some = fc.array(deed, { maxLength: 12 });
    const steps = fc.array(step, { maxLength: 60, size: 'max' });
    fc.assert(
      fc.property(setting, some, some, steps, (of, before, unscanned, all) => {
        const witnesses = [1, 2].map((uid) => new Witness(uid));
        const numbers: number[] = [];
        const history = new History(of, before, unscanned, (told, lost) => {
          function* noted(): Generator<Told> {
            for (const one of told) {
              for (const witness of witnesses) witness.note(history, one);
              yield one;
            }
          }
          broadcast.publish({ ...batchOf(lost), events: noted() });
        });
        const source = { table: history.table, setInterest: () => undefined, catchUp: () => undefined };
        const broadcast = new Broadcast(source, { linger: 0 });
        const everything = new Keeper();
        everything.subscribeTo(broadcast, { threads: true });
        for (const witness of witnesses) {
          witness.note(history);
          witness.subscribeTo(broadcast);
          witness.list(broadcast);
        }
        all.forEach((next, nth) => {
          history.take(next);
          for (const witness of witnesses) {
            witness.note(history);
            if (nth % 8 === 7) witness.list(broadcast);
          }
        });
        for (const witness of witnesses) {
          witness.subscribeTo(broadcast, { since: { epoch: broadcast.epoch, seq: 0 } });
        }
        vi.runAllTimers();
        broadcast.close();
        numbers.push(...everything.numbers.map(Number));
        expect(witnesses.flatMap((witness) => witness.stolen(numbers))).toEqual([]);
        names += witnesses.reduce((sum, witness) => sum + witness.names, 0);
      }),
      { numRuns: 500 },
    );
    // They are told of their own, though.
    expect(names).toBeGreaterThan(1000);
  });
});
