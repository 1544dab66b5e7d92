/*
 * A subscription goes on under another grant.
 */
import { fullGrant, ProcbusError, type EventType, type Grant } from '@procbus/protocol';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { numberOf as numberOfEntry } from '../src/bus/entries.ts';
import type { Asker } from '../src/bus/selection.ts';
import { eventOf, execs, forkOf, makeBus, root } from './support/bus.ts';
import { Keeper, numberOf, type Item } from './support/keeper.ts';
import { allowed, family, grant, programs, publications, request, uids } from './support/streams.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setImmediate', 'clearImmediate', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** Somebody, whose grant changes; and what they ask for, which each of their grants lets them. */
const somebody = fc
  .record({
    uid: fc.constantFrom(...uids),
    grants: fc.array(grant, { minLength: 1, maxLength: 4 }),
    filter: request,
    delay: fc.constantFrom(0, 20),
  })
  .map(({ uid, grants, filter, delay }) => ({
    askers: grants.map((each): Asker => ({ uid, grant: each })),
    filter: grants.reduce(allowed, filter),
    options: { maxDelay: delay },
  }));

describe('a subscription whose grant changes', () => {
  test('is told everything once, under the grant of its time', () => {
    const parts = fc.array(publications(4), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(somebody, parts, ({ askers, filter, options }, all) => {
        const { broadcast, publish } = makeBus(programs);
        publish(family);
        // Each grant has somebody to whom it is given all the time.
        const others = askers.map((asker) => {
          const keeper = new Keeper();
          keeper.subscribeTo(broadcast, filter, asker, options);
          return keeper;
        });
        const keeper = new Keeper();
        const subscription = keeper.subscribeTo(broadcast, filter, askers[0], options);
        const begins = askers.map((asker, nth) => {
          if (nth > 0) broadcast.regrant(subscription, asker, options);
          const begin = broadcast.seq;
          for (const { events, lost } of all[nth] ?? []) publish(events, lost);
          return begin;
        });
        broadcast.close();
        const expected = others.flatMap(({ items }, nth) =>
          items.filter(
            (item) => numberOf(item) > (begins[nth] ?? 0) && numberOf(item) <= (begins[nth + 1] ?? Infinity),
          ),
        );
        expect(keeper.items).toEqual(expected);
        expect(keeper.misplaced).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('is told everything once, while it is told of the past', () => {
    const steps = fc.record({ pieces: fc.nat(4), size: fc.integer({ min: 1, max: 9 }) });
    fc.assert(
      fc.property(
        somebody,
        publications(12),
        publications(4),
        steps,
        (who, before, behind, { pieces, size }) => {
          const { askers, filter, options } = who;
          const [first = root, second = first] = askers;
          const { broadcast, publish } = makeBus(programs, [], { replayStep: size });
          publish(family);
          const begin = broadcast.seq;
          const [early, late] = [first, second].map((asker) => {
            const keeper = new Keeper();
            keeper.subscribeTo(broadcast, filter, asker, options);
            return keeper;
          }) as [Keeper, Keeper];
          for (const { events, lost } of before) publish(events, lost);
          const keeper = new Keeper();
          keeper.room = pieces;
          const since = { epoch: broadcast.epoch, seq: begin };
          const subscription = keeper.subscribeTo(broadcast, filter, first, { ...options, since });
          vi.runAllTimers();
          const isPast = subscription.isReplaying;
          const lookedAt = broadcast.journal.after(begin, pieces * size).at(-1);
          const reached = isPast ? (lookedAt === undefined ? begin : numberOfEntry(lookedAt)) : broadcast.seq;
          broadcast.regrant(subscription, second, options);
          keeper.room = Infinity;
          subscription.resume();
          for (const { events, lost } of behind) publish(events, lost);
          vi.runAllTimers();
          broadcast.close();
          const isBefore = (item: Item): boolean => numberOf(item) <= reached;
          const isBehind = (item: Item): boolean => !isBefore(item);
          expect(keeper.items).toEqual([...early.items.filter(isBefore), ...late.items.filter(isBehind)]);
        },
      ),
      { numRuns: 300 },
    );
  });

  const withGrant = (changed: Partial<Grant>): Asker => ({ uid: 0, grant: { ...fullGrant, ...changed } });

  test('is told what was held back as it was seen then', () => {
    const { broadcast, publish } = makeBus();
    const keeper = new Keeper();
    const options = { maxDelay: 10_000 };
    const subscription = keeper.subscribeTo(broadcast, { events: ['exec'] }, root, options);
    publish(execs(64));
    publish(execs(10));
    expect(keeper.numbers).toHaveLength(64);
    broadcast.regrant(subscription, withGrant({ events: ['fork'] }), options);
    expect(keeper.numbers).toHaveLength(74);
    publish(execs(10));
    broadcast.close();
    expect(keeper.numbers).toHaveLength(74);
  });

  test('goes on as it was where the grant does not let it go on', () => {
    const { broadcast, publish } = makeBus({ imageOf: () => ({ comm: 'x', detail: 'complete' }) });
    const keeper = new Keeper();
    const subscription = keeper.subscribeTo(broadcast, { comm: ['x'] });
    const narrow = (): void => broadcast.regrant(subscription, withGrant({ detail: 'ids' }), {});
    expect(narrow).toThrow(ProcbusError);
    expect(narrow).toThrow(expect.objectContaining({ code: 'not-granted' }) as Error);
    publish(execs(2));
    expect(keeper.numbers).toEqual([1, 2]);
    subscription.end();
    publish(execs(2));
    expect(keeper.numbers).toEqual([1, 2]);
  });

  test('keeps the process that a pid stood for', () => {
    const { broadcast, publish } = makeBus();
    publish([forkOf(10, 1)]);
    const keeper = new Keeper();
    const subscription = keeper.subscribeTo(broadcast, { subtree: [10] });
    publish([
      { ...eventOf('exec', 10), type: 'exit', status: 0, ppid: 1 },
      forkOf(10, 1, 2n ** 61n),
      forkOf(11, 10),
    ]);
    broadcast.regrant(subscription, withGrant({ detail: 'ids' }), { maxDelay: 0 });
    publish([eventOf('exec', 10), eventOf('exec', 11)]);
    expect(keeper.wires.map(([type]) => type)).toEqual(['exit']);
    subscription.end();
  });

  test('leaves nothing of its former self behind', () => {
    const { broadcast, table, interests, publish } = makeBus();
    publish([forkOf(10, 1)]);
    const filter = { events: ['comm'] as EventType[], threads: true, subtree: [10] };
    const subscription = new Keeper().subscribeTo(broadcast, filter);
    for (const detail of ['ids', 'names', 'args', 'args'] as const) {
      broadcast.regrant(subscription, withGrant({ detail }), { maxDelay: 0 });
      expect(interests.at(-1)?.threads).toEqual(new Set(['comm']));
    }
    subscription.end();
    expect(interests.at(-1)?.threads).toEqual(new Set());
    expect(table.subtrees.isWatched(table.get(10)?.id ?? '')).toBe(false);
    expect(table.get(10)?.subtrees.size).toBe(0);
  });
});
