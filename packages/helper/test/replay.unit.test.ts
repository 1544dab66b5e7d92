/*
 * What is told of the past, held against what was told while it happened.
 */
import {
  eventTypes,
  fullGrant,
  ProcbusError,
  type EventType,
  type KernelEvent,
  type Loss,
  type SubscribeOptions,
} from '@procbus/protocol';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Broadcast } from '../src/bus/broadcast.ts';
import { Journal } from '../src/bus/journal.ts';
import type { Asker } from '../src/bus/selection.ts';
import type { Subscription } from '../src/bus/subscription.ts';
import { eventOf, execs, exitOf, forkOf, makeBus, root, type Bus } from './support/bus.ts';
import { Keeper, numberOf, type Item } from './support/keeper.ts';
import { allowed, asker, family, programs, publications, request } from './support/streams.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setImmediate', 'clearImmediate', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** Has everything told that waits for its turn. */
function settle(): void {
  vi.runAllTimers();
}

/** A subscription to what came behind a number. */
function replay(
  { broadcast }: Bus,
  seq: number,
  { filter = {}, who = root, room = Infinity }: { filter?: object; who?: Asker; room?: number } = {},
): { keeper: Keeper; subscription: Subscription } {
  const keeper = new Keeper();
  keeper.room = room;
  const since = { epoch: broadcast.epoch, seq };
  return { keeper, subscription: keeper.subscribeTo(broadcast, filter, who, { since }) };
}

function errorOf(act: () => unknown): ProcbusError {
  try {
    act();
  } catch (error) {
    if (error instanceof ProcbusError) return error;
    throw error;
  }
  return expect.fail('it was accepted');
}

/** Somebody who asks for something; one who may see all may ask for what descends from somebody, too. */
const asking = fc
  .record({ filter: request, who: asker, subtree: fc.option(fc.constantFrom(2, 3, 5), { nil: undefined }) })
  .map(({ filter, who, subtree }) => ({
    who,
    filter: allowed(filter, who.grant),
    subtree: who.grant.scope === 'all' ? subtree : undefined,
  }));

/** What happens while somebody is told of the past: they take so many pieces, or so much is published. */
const meanwhile = fc.array(fc.oneof(fc.constant('publish' as const), fc.nat(3)), { maxLength: 20 });

const scene = fc.record({
  before: publications(12),
  behind: publications(8),
  asked: asking,
  meanwhile,
  at: fc.nat(1000),
  replayStep: fc.integer({ min: 1, max: 7 }),
  maxDelay: fc.constantFrom(0, 20),
});

type Scene = typeof scene extends fc.Arbitrary<infer Value> ? Value : never;

/** Plays a scene; returns what somebody was told live, and somebody else who came late, from a number on. */
function play(
  { before, behind, asked, meanwhile: steps, at, replayStep, maxDelay }: Scene,
  journal: Journal,
): { live: Keeper; late: Keeper; seq: number } {
  const { broadcast, publish } = makeBus(programs, [], { journal, replayStep });
  publish(family);
  const live = new Keeper();
  const { filter, who, subtree } = asked;
  const more = subtree === undefined ? {} : { subtree: [subtree] };
  const { start } = live.subscribeTo(broadcast, { ...filter, ...more }, who, { maxDelay });
  const begin = broadcast.seq;
  for (const { events, lost } of before) publish(events, lost);

  const oldest = Math.max(begin, broadcast.journal.oldest);
  let seq = oldest + (at % (broadcast.seq - oldest + 1));
  // No cursor is within a hole.
  for (const hole of broadcast.journal.after(oldest, Infinity)) {
    if ('where' in hole && hole.from <= seq) seq = Math.max(seq, hole.to);
  }
  const late = new Keeper();
  late.room = 0;
  const bound = subtree === undefined ? {} : { subtree: Object.values(start.roots ?? {}) };
  const since = { epoch: broadcast.epoch, seq };
  const subscription = late.subscribeTo(broadcast, { ...filter, ...bound }, who, { since, maxDelay });
  const waiting = [...behind];
  for (const step of steps) {
    const next = step === 'publish' ? waiting.shift() : undefined;
    if (next !== undefined) publish(next.events, next.lost);
    if (step === 'publish') continue;
    late.room = step;
    subscription.resume();
    settle();
  }
  late.room = Infinity;
  subscription.resume();
  settle();
  for (const { events, lost } of waiting) publish(events, lost);
  broadcast.close();
  return { live, late, seq };
}

const isJournalLoss = (item: Item): item is Loss => 'where' in item && item.where === 'journal';

describe('a replay', () => {
  test('goes over into what happens without a seam: it tells what was told live, and nothing else', () => {
    let told = 0;
    fc.assert(
      fc.property(scene, (given) => {
        const { live, late, seq } = play(given, new Journal());
        expect(late.items).toEqual(live.items.filter((item) => numberOf(item) > seq));
        expect([...live.misplaced, ...late.misplaced]).toEqual([]);
        told += late.items.length;
      }),
      { numRuns: 500 },
    );
    expect(told).toBeGreaterThan(1000);
  });

  test('is what becomes of one who falls behind: they are told the same as others, and a bit later', () => {
    let falls = 0;
    const purse = fc.infiniteStream(fc.nat(3));
    fc.assert(
      fc.property(asking, publications(15), purse, ({ filter, who }, all, money) => {
        const { broadcast, publish } = makeBus(programs, [], { replayStep: 5 });
        publish(family);
        const [live, late] = [new Keeper(), new Keeper()];
        late.pays = () => money.next().value !== 0;
        live.subscribeTo(broadcast, filter, who, { maxDelay: 20 });
        const subscription = late.subscribeTo(broadcast, filter, who, { maxDelay: 20 });
        for (const { events, lost } of all) {
          publish(events, lost);
          if (subscription.isReplaying) falls++;
          late.room = money.next().value ?? 0;
          subscription.resume();
          settle();
        }
        late.room = Infinity;
        subscription.resume();
        settle();
        broadcast.close();
        expect(late.items).toEqual(live.items);
        expect([...live.misplaced, ...late.misplaced]).toEqual([]);
      }),
      { numRuns: 300 },
    );
    expect(falls).toBeGreaterThan(100);
  });

  test('that is overtaken tells of a hole in the place of what has made way, and of all else', () => {
    let holes = 0;
    fc.assert(
      fc.property(scene, fc.integer({ min: 1000, max: 20_000 }), (given, limit) => {
        const { live, late, seq } = play(given, new Journal(limit));
        const isTold = new Set<Item>();
        let before = seq;
        let expected = live.items.filter((item) => numberOf(item) > seq);
        for (const item of late.items) {
          if (isJournalLoss(item)) {
            holes++;
            const { from, to, count } = item;
            // Who sees only their own is not told how large it is.
            const isCounted = given.asked.who.grant.scope === 'all';
            expect(count).toBe(isCounted ? to - from + 1 : 0);
            expect(from).toBeGreaterThan(before);
            const begin = isCounted ? from : before + 1;
            expected = expected.filter((one) => numberOf(one) < begin || numberOf(one) > to);
          } else isTold.add(item);
          before = numberOf(item);
        }
        expect([...isTold]).toEqual(expected);
        expect(late.misplaced).toEqual([]);
      }),
      { numRuns: 500 },
    );
    expect(holes).toBeGreaterThan(20);
  });

  test('tells each process as it was then', () => {
    const images = ['one', 'two'].map((comm) => ({ comm, detail: 'complete' as const }));
    const bus = makeBus({ imageOf: () => images.shift() ?? expect.fail() });
    bus.publish([forkOf(7, 1), eventOf('exec', 7), eventOf('exec', 7), exitOf(7, 2n ** 61n)]);
    const { keeper } = replay(bus, 0);
    settle();
    expect(keeper.wires.map((wire) => wire[6])).toMatchObject([
      { process: { comm: '' } },
      { process: { comm: 'one' } },
      { process: { comm: 'two' } },
      { process: { comm: 'two' } },
    ]);
  });

  test('begins behind the answer, and where it was asked to', () => {
    const bus = makeBus();
    bus.publish(execs(3));
    const { keeper, subscription } = replay(bus, 1);
    expect(subscription.start.seq).toBe(1);
    expect([keeper.items, subscription.isReplaying]).toEqual([[], true]);
    settle();
    expect([keeper.numbers, subscription.isReplaying]).toEqual([[2, 3], false]);
    expect(keeper.position).toBe(3);
  });

  test('goes as far as there is room, and on when there is more', () => {
    const bus = makeBus({}, [], { replayStep: 10 });
    bus.publish(execs(25));
    const { keeper, subscription } = replay(bus, 0, { room: 1 });
    settle();
    expect(keeper.numbers).toHaveLength(10);
    settle();
    expect(keeper.numbers).toHaveLength(10);
    keeper.room = 1;
    subscription.resume();
    subscription.resume();
    settle();
    expect(keeper.numbers).toHaveLength(20);
    bus.publish(execs(3));
    expect(keeper.numbers).toHaveLength(20);
    keeper.room = Infinity;
    subscription.resume();
    settle();
    bus.publish(execs(1));
    expect(keeper.numbers).toEqual(Array.from({ length: 29 }, (_, index) => index + 1));
  });

  test('says what work it is, piece by piece, whatever the filter lets through', () => {
    const { broadcast, publish } = makeBus({}, [], { replayStep: 10 });
    publish(execs(25));
    const work: number[] = [];
    const since = { epoch: broadcast.epoch, seq: 0 };
    const keeper = new Keeper();
    const onWork = (entries: number): void => void work.push(entries);
    broadcast.subscribe({ events: ['sid'] }, root, { since }, keeper, onWork).begin();
    settle();
    expect([work, keeper.items]).toEqual([[10, 10, 5, 0], []]);
  });

  test('ends where others are, who may have something held back', () => {
    const bus = makeBus();
    const [other, late] = [new Keeper(), new Keeper()];
    const options = { maxDelay: 10_000 };
    other.subscribeTo(bus.broadcast, {}, root, options);
    bus.publish(execs(64));
    bus.publish(execs(10));
    expect(other.numbers).toHaveLength(64);
    late.subscribeTo(bus.broadcast, {}, root, { ...options, since: { epoch: bus.broadcast.epoch, seq: 0 } });
    settle();
    expect([other, late].map(({ numbers }) => numbers.length)).toEqual([74, 74]);
    bus.publish(execs(5));
    bus.broadcast.close();
    for (const { numbers } of [other, late]) {
      expect(numbers).toEqual(Array.from({ length: 79 }, (_, index) => index + 1));
    }
  });

  test('that is ended tells nothing more', () => {
    const bus = makeBus({}, [], { replayStep: 10 });
    bus.publish(execs(25));
    const { keeper, subscription } = replay(bus, 0, { room: 1 });
    settle();
    keeper.room = Infinity;
    subscription.resume();
    subscription.end();
    settle();
    subscription.resume();
    settle();
    bus.publish(execs(1));
    expect(keeper.numbers).toHaveLength(10);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('that is overtaken says where, and how much, and goes on with what is held', () => {
    const bus = makeBus({}, [], { replayStep: 10, journal: new Journal(20_000) });
    bus.publish(execs(20));
    const { keeper, subscription } = replay(bus, 0, { room: 1 });
    settle();
    bus.publish(execs(200));
    const { oldest } = bus.broadcast.journal;
    expect(oldest).toBeGreaterThan(10);
    keeper.room = Infinity;
    subscription.resume();
    settle();
    expect(keeper.losses).toMatchObject([{ where: 'journal', count: oldest - 10, from: 11, to: oldest }]);
    expect(keeper.numbers.slice(0, 11)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, oldest + 1]);
    expect(keeper.numbers.at(-1)).toBe(220);
    expect(keeper.misplaced).toEqual([]);
  });

  test('says of no hole that it was passed before it is told', () => {
    const bus = makeBus();
    bus.publish(execs(2), 5);
    const { keeper } = replay(bus, 0);
    settle();
    expect(keeper.deliveries.map(({ seq }) => seq)).toEqual([2]);
    expect(keeper.items.map(numberOf)).toEqual([1, 2, 7]);
  });

  describe('of a subtree', () => {
    test('that somebody has watched all the time has those that were forked within it', () => {
      const bus = makeBus({ parentOf: (pid) => (pid === 12 ? 10 : undefined) });
      bus.publish([forkOf(10, 1), forkOf(20, 1)]);
      new Keeper().subscribeTo(bus.broadcast, { subtree: [10] });
      // 12 is a stranger that 10 takes in; 14 becomes a daemon.
      bus.publish([
        forkOf(12, 20),
        forkOf(13, 10),
        forkOf(14, 13),
        exitOf(20, 2n ** 61n),
        exitOf(13, 2n ** 61n),
      ]);
      bus.publish([eventOf('exec', 12), eventOf('exec', 14)]);
      const { keeper } = replay(bus, 2, { filter: { subtree: [10] } });
      settle();
      expect(keeper.pids).toEqual([13, 14, 13, 14]);
    });

    test('that nobody has watched has those that were below its root then', () => {
      const bus = makeBus();
      bus.publish([forkOf(10, 1), forkOf(13, 10), forkOf(14, 13), forkOf(20, 1), eventOf('exec', 14)]);
      bus.publish([exitOf(13, 2n ** 61n), eventOf('sid', 14)]);
      const { keeper } = replay(bus, 0, { filter: { subtree: [10] } });
      settle();
      expect(keeper.wires.map((wire) => [wire[0], wire[4]])).toEqual([
        ['fork', 10],
        ['fork', 13],
        ['fork', 14],
        ['exec', 14],
        ['exit', 13],
      ]);
    });

    test('knows from when on it was watched', () => {
      const bus = makeBus({ parentOf: (pid) => (pid === 12 ? 10 : undefined) });
      bus.publish([forkOf(10, 1), forkOf(11, 10), forkOf(20, 1), forkOf(12, 20)]);
      new Keeper().subscribeTo(bus.broadcast, { subtree: [10], not: { comm: ['x'] } });
      bus.publish([exitOf(20, 2n ** 61n), eventOf('exec', 11), eventOf('exec', 12)]);
      const { keeper } = replay(bus, 0, { filter: { subtree: [10] } });
      settle();
      expect(keeper.pids).toEqual([10, 11, 11]);
    });
  });
});

describe('a cursor', () => {
  const gone = (broadcast: Broadcast, seq: number, epoch = broadcast.epoch): ProcbusError =>
    errorOf(() => broadcast.subscribe({}, root, { since: { epoch, seq } }, new Keeper()));

  test.each([
    ['of another run', -1, 'it is of another run of procbusd'],
    ['ahead of the stream', 100_001, 'nothing has got that far yet'],
    ['too old', 0, 'the journal no longer holds it'],
  ])('that is %s is gone, and the oldest one is told', (_what, at, why) => {
    const bus = makeBus({}, [], { journal: new Journal(20_000) });
    bus.publish(execs(100));
    const { broadcast } = bus;
    const { epoch, journal } = broadcast;
    const [seq, of] = at < 0 ? [50, '0123456789abcdef'] : [at, epoch];
    const oldest = `${epoch}:${journal.oldest}`;
    const error = gone(broadcast, seq, of);
    expect(error).toMatchObject({
      code: 'gone',
      message: `nothing can be told since ${of}:${seq}: ${why}`,
      oldest,
    });
    expect(error.remedy).toContain(oldest);
    expect(gone(broadcast, journal.oldest - 1).code).toBe('gone');
    expect(gone(broadcast, broadcast.seq + 1).code).toBe('gone');
    // Nothing stays behind of who was refused.
    expect(bus.interests).toEqual([]);
    const { keeper } = replay(bus, journal.oldest);
    settle();
    expect(keeper.numbers).toEqual(
      Array.from({ length: journal.size.events }, (_, nth) => journal.oldest + nth + 1),
    );
    expect(keeper.losses).toEqual([]);
  });

  test('of now, or of the very beginning, is held', () => {
    const bus = makeBus();
    for (const { keeper } of [replay(bus, 0)]) {
      settle();
      bus.publish(execs(2));
      expect(keeper.numbers).toEqual([1, 2]);
    }
    const { keeper } = replay(bus, 2);
    settle();
    bus.publish(execs(1));
    expect(keeper.items.map(numberOf)).toEqual([3]);
  });

  test('is bound before: what the filter is refused for is told first', () => {
    const { broadcast } = makeBus();
    const options: SubscribeOptions = { since: { epoch: 'x', seq: 1 } };
    expect(errorOf(() => broadcast.subscribe({ pids: [] }, root, options, new Keeper())).code).toBe(
      'bad-filter',
    );
  });

  test('may be of what the kernel has told and nobody has looked at yet', () => {
    const waiting = execs(3);
    const { broadcast } = makeBus({}, waiting);
    const keeper = new Keeper();
    keeper.subscribeTo(broadcast, {}, root, { since: { epoch: broadcast.epoch, seq: 2 } });
    settle();
    expect(keeper.numbers).toEqual([3]);
  });
});

describe('a time', () => {
  const time = 2n ** 60n;
  const at = (seconds: number): bigint => time + BigInt(seconds) * 1_000_000_000n;
  const execAt = (seconds: number): KernelEvent => ({ ...eventOf('exec', 7), kernelTime: at(seconds) });

  function since({ broadcast }: Bus, sinceTime: bigint): { keeper: Keeper; start: Subscription['start'] } {
    const keeper = new Keeper();
    const { start } = keeper.subscribeTo(broadcast, {}, root, { sinceTime });
    settle();
    return { keeper, start };
  }

  test('begins with the first event of then or later', () => {
    const bus = makeBus();
    bus.publish([1, 2, 2, 4].map(execAt));
    expect([2, 3, 5].map((seconds) => since(bus, at(seconds)).keeper.items)).toMatchObject([
      [{ 1: 2 }, { 1: 3 }, { 1: 4 }],
      [{ 1: 4 }],
      [],
    ]);
    expect([2, 3, 5].map((seconds) => since(bus, at(seconds)).start.seq)).toEqual([1, 3, 4]);
  });

  test('before all that was ever told begins there, as nothing is missing', () => {
    const bus = makeBus();
    bus.publish([execAt(1)]);
    expect(since(bus, at(0)).keeper.items).toMatchObject([{ 1: 1 }]);
  });

  test('from before the helper was there begins with a hole', () => {
    for (const sinceTime of [0n, -5n]) {
      const bus = makeBus();
      const { keeper, start } = since(bus, sinceTime);
      expect(start.seq).toBe(0);
      bus.publish([execAt(1)]);
      expect(keeper.items).toMatchObject([{ where: 'journal', count: 0, from: 0, to: 0 }, { 1: 1 }]);
      expect(keeper.misplaced).toEqual([]);
    }
  });

  test('that is no longer held begins with a hole, and then all that is', () => {
    const bus = makeBus({}, [], { journal: new Journal(20_000) });
    bus.publish(Array.from({ length: 100 }, (_, index) => execAt(index)));
    const { oldest } = bus.broadcast.journal;
    const { keeper, start } = since(bus, at(1));
    expect(start.seq).toBe(oldest);
    expect(keeper.losses).toMatchObject([{ where: 'journal', count: 0, from: oldest, to: oldest }]);
    expect(keeper.items.slice(1).map(numberOf)[0]).toBe(oldest + 1);
    // The oldest that is held is held as a whole.
    expect(since(bus, at(oldest)).keeper.losses).toEqual([]);
    expect(since(bus, at(oldest - 1)).keeper.losses).toHaveLength(1);
  });

  test('that has not come yet is now', () => {
    const bus = makeBus();
    for (const count of [0, 2]) {
      bus.publish(execs(count));
      const { keeper, start } = since(bus, 2n ** 62n);
      expect([start.seq, keeper.items]).toEqual([bus.broadcast.seq, []]);
    }
  });
});

describe('what was not collected', () => {
  const hole = (seq: number): object => ({ where: 'journal', count: 0, from: seq, to: seq });
  const threads = { events: ['comm'] as EventType[], threads: true };

  test('is told as a hole, first of all', () => {
    const bus = makeBus();
    bus.publish(execs(3));
    const { keeper } = replay(bus, 1, { filter: threads });
    expect(keeper.items).toEqual([hole(1)]);
    settle();
    bus.publish([{ type: 'comm', kernelTime: 2n ** 61n, cpu: 0, pid: 1, tid: 9, comm: 'x' }]);
    expect(keeper.items.map(numberOf)).toEqual([1, 4]);
    expect(keeper.misplaced).toEqual([]);
  });

  test('is what was not wanted all the time since', () => {
    const types = fc.subarray([...eventTypes], { minLength: 1 });
    const wishes = fc.array(fc.tuple(fc.option(types), fc.integer({ min: 1, max: 3 })), { maxLength: 6 });
    fc.assert(
      fc.property(wishes, types, (steps, asked) => {
        const bus = makeBus();
        let other: Subscription | undefined;
        // Of threads, when each number was given out.
        const wanted: EventType[][] = [[]];
        for (const [wish, count] of steps) {
          const next = wish === null ? undefined : { events: wish, threads: true };
          const former = other;
          other = next === undefined ? undefined : new Keeper().subscribeTo(bus.broadcast, next);
          former?.end();
          bus.publish(execs(count));
          for (let left = count; left > 0; left--) wanted.push(wish ?? []);
        }
        for (let seq = 0; seq <= bus.broadcast.seq; seq++) {
          const { keeper, subscription } = replay(bus, seq, { filter: { events: asked, threads: true } });
          subscription.end();
          const isWhole = wanted.slice(seq + 1).every((each) => asked.every((type) => each.includes(type)));
          expect(keeper.items).toEqual(isWhole ? [] : [hole(seq)]);
        }
      }),
    );
  });

  test('is told so to those, too, who may see only their own', () => {
    const bus = makeBus();
    bus.publish(execs(3));
    const who = { uid: 1, grant: { ...fullGrant, scope: 'own' as const } };
    expect(replay(bus, 1, { filter: threads, who }).keeper.items).toEqual([hole(1)]);
  });

  test('is nothing of what processes do, whoever wants it', () => {
    const bus = makeBus();
    bus.publish(execs(3));
    expect(replay(bus, 0, { filter: { events: ['ptrace', 'coredump'] } }).keeper.items).toEqual([]);
  });

  test('is nothing where somebody else wants it all the time, or wanted it not long ago', () => {
    vi.useFakeTimers();
    const bus = makeBus({}, [], { linger: 60_000 });
    const other = new Keeper().subscribeTo(bus.broadcast, { threads: true });
    bus.publish(execs(3));
    const holes = (seq: number): unknown[] => {
      const { keeper, subscription } = replay(bus, seq, { filter: threads });
      subscription.end();
      return keeper.items;
    };
    expect(holes(0)).toEqual([]);
    bus.publish(execs(3));
    vi.advanceTimersByTime(61_000);
    expect(holes(0)).toEqual([]);
    other.end();
    vi.advanceTimersByTime(61_000);
    expect(holes(5)).toEqual([hole(5)]);
    expect(holes(6)).toEqual([]);
    bus.broadcast.close();
  });
});
