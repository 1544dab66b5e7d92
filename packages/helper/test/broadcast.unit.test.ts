import {
  eventTypes,
  includes,
  matches,
  maxHelperPayload,
  pack,
  packFrameHead,
  parseFilter,
  ProcbusError,
  fullGrant,
  unpack,
  type Filter,
  type KernelEvent,
} from '@procbus/protocol';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { kernelEvent } from '../../protocol/test/arbitraries.ts';
import { lensOf, lifeOf } from '../src/bus/view.ts';
import type { Subscription } from '../src/bus/subscription.ts';
import { interestOf, ownInterest, unionOf, type Interest } from '../src/kernel/socket-filter.ts';
import type { Told } from '../src/processes/told.ts';
import { batchOf, exitOf, follow, forkOf, makeBus, root } from './support/bus.ts';
import { Keeper, listed } from './support/keeper.ts';
import { eventToWire, eventsHead } from '../../protocol/test/wire-event.ts';
import { circumstancesOf } from './support/circumstances.ts';

const exec = (pid: number): KernelEvent => ({ type: 'exec', kernelTime: 2n ** 60n, cpu: 0, pid, tid: pid });

const conditions = {
  pids: fc.constant([7]),
  uids: fc.constant([0]),
  comm: fc.constant(['?*']),
  exit: fc.constant(['failed' as const]),
  minRuntime: fc.constant(1),
};

const request = fc.record(
  {
    events: fc.uniqueArray(fc.constantFrom(...eventTypes), { minLength: 1 }),
    threads: fc.boolean(),
    include: fc.subarray([...includes]),
    not: fc.record(conditions, { requiredKeys: [] }),
    ...conditions,
  },
  { requiredKeys: ['events', 'threads'] },
);

/** A batch that comes, or a subscription that begins or ends. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.array(kernelEvent, { maxLength: 20 }), fc.nat({ max: 3 })) },
  { weight: 1, arbitrary: request },
  { weight: 1, arbitrary: fc.nat() },
);

describe('Broadcast', () => {
  test('each receiver gets exactly what matches while it is subscribed, in order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.constantFrom(0, 1000), (steps, delay) => {
        const { broadcast, table, interests } = makeBus();
        const subscribed = new Map<Keeper, { filter: Filter; subscription: Subscription }>();
        const expected = new Map<Keeper, { wires: unknown[]; losses: object[] }>();
        let seq = 0;
        const noteLoss = (lost: number): void => {
          const loss = { count: lost, from: seq + 1, to: seq + lost };
          for (const keeper of subscribed.keys()) expected.get(keeper)?.losses.push(loss);
          seq += lost;
        };
        /** Notes of each event who is to be told of it, and what; a loss comes before what it made necessary. */
        function* noted(events: readonly KernelEvent[], lost: number): Generator<Told> {
          let untold = lost > 0;
          for (const told of table.follow(events)) {
            const { event, process } = told;
            if (untold && event.synthetic === true) {
              noteLoss(lost);
              untold = false;
            }
            seq++;
            for (const [keeper, { filter }] of subscribed) {
              if (!matches(filter, event, process, lifeOf(event, process))) continue;
              const circumstances = circumstancesOf(lensOf(fullGrant, 0, filter.include), event, process);
              expected.get(keeper)?.wires.push(unpack(pack(eventToWire(seq, event, circumstances))));
            }
            yield told;
          }
          if (untold) noteLoss(lost);
        }

        for (const next of steps) {
          if (typeof next === 'number') {
            const leaving = [...subscribed][next % Math.max(1, subscribed.size)];
            if (leaving === undefined) continue;
            const [keeper, { subscription }] = leaving;
            subscribed.delete(keeper);
            subscription.end();
          } else if (!Array.isArray(next)) {
            const keeper = new Keeper();
            expected.set(keeper, { wires: [], losses: [] });
            const subscription = keeper.subscribeTo(broadcast, next, root, { maxDelay: delay });
            subscribed.set(keeper, { filter: parseFilter(next), subscription });
          } else {
            const [events, lost] = next;
            broadcast.publish({ ...batchOf(lost), events: noted(events, lost) });
          }
          expect(broadcast.seq).toBe(seq);
          const union = unionOf([
            ownInterest,
            ...[...subscribed.values()].map(({ filter }) => interestOf(filter)),
          ]);
          expect(broadcast.interest).toEqual(union);
          expect(interests.at(-1) ?? ownInterest).toEqual(union);
        }

        broadcast.close();
        for (const [keeper, { wires, losses }] of expected) {
          expect(keeper.wires).toEqual(wires);
          expect(keeper.misplaced).toEqual([]);
          expect(keeper.losses).toEqual(losses.map((loss) => expect.objectContaining(loss) as unknown));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a delivery says how many events it has, which, and how far the stream was looked through', () => {
    const { broadcast, publish } = makeBus();
    const keeper = new Keeper();
    keeper.subscribeTo(broadcast, { events: ['exec'] });
    const sid: KernelEvent = { ...exec(1), type: 'sid' };
    publish([sid, exec(2), sid, exec(3), sid]);
    publish([sid, sid]);
    publish([exec(4)]);
    expect(keeper.deliveries).toEqual([
      expect.objectContaining({ count: 2, from: 2, to: 4, seq: 5, packed: expect.any(Buffer) as unknown }),
      expect.objectContaining({ count: 1, from: 8, to: 8, seq: 8 }),
    ]);
  });

  test('a loss comes behind the events of its batch, and takes numbers of its own', () => {
    const { broadcast, publish } = makeBus();
    const keeper = new Keeper();
    keeper.subscribeTo(broadcast, {});
    publish([exec(1), exec(2)], 10);
    publish([exec(3)]);
    expect(keeper.losses).toEqual([
      { where: 'kernel', count: 10, from: 3, to: 12, kernelTime: 5n, clockOffset: 2n ** 60n },
    ]);
    expect(keeper.deliveries.map(({ from, to }) => [from, to])).toEqual([
      [1, 2],
      [13, 13],
    ]);
    expect(broadcast.dropped).toBe(10);
  });

  test('a loss comes before the first event that only it made necessary', () => {
    const { broadcast, table } = makeBus();
    follow(table, forkOf(1, 0));
    const keeper = new Keeper();
    keeper.subscribeTo(broadcast, {});
    broadcast.publish({ ...batchOf(3), events: table.follow([exec(1), exec(2), exec(3)]) });
    broadcast.publish({ ...batchOf('unknown'), events: table.follow([exec(4)]) });
    expect(keeper.losses).toMatchObject([
      { count: 3, from: 2, to: 4 },
      { count: 0, from: 9, to: 9 },
    ]);
    expect(keeper.wires.map((wire) => (wire as unknown[]).slice(0, 2))).toEqual([
      ['exec', 1],
      ['fork', 5],
      ['exec', 6],
      ['fork', 7],
      ['exec', 8],
      ['fork', 10],
      ['exec', 11],
    ]);
    expect(keeper.deliveries.map(({ seq }) => seq)).toEqual([1, 8, 11]);
  });

  test('receivers with equal filters share the bytes, others do not', () => {
    const { broadcast, publish } = makeBus();
    const [first, second, other] = [new Keeper(), new Keeper(), new Keeper()];
    first.subscribeTo(broadcast, { events: ['exec', 'exit'] });
    second.subscribeTo(broadcast, { events: ['exit', 'exec', 'exec'] });
    other.subscribeTo(broadcast, { events: ['exec'] });
    publish([exec(1), exec(2)]);
    expect(first.deliveries[0]?.packed).toBeInstanceOf(Buffer);
    expect(first.deliveries[0]?.packed).toBe(second.deliveries[0]?.packed);
    expect(other.deliveries[0]?.packed).not.toBe(first.deliveries[0]?.packed);
  });

  test('a large batch is told in several deliveries, each of which fits a message, without a hole', () => {
    const { broadcast, publish } = makeBus();
    const keeper = new Keeper();
    keeper.subscribeTo(broadcast, { events: ['exec'] });
    const last: KernelEvent = { ...exec(1), type: 'sid' };
    const count = 40_000;
    publish([...Array.from({ length: count }, (_, index) => exec(index + 1)), last]);
    expect(keeper.deliveries.length).toBeGreaterThan(2);
    let told = 0;
    for (const delivery of keeper.deliveries) {
      const { packed, from, to, seq, clockOffset } = delivery;
      expect((unpack(packed) as unknown[]).length).toBe(delivery.count);
      expect([from, to]).toEqual([told + 1, told + delivery.count]);
      told = to;
      expect(seq).toBe(to === count ? count + 1 : to);
      const head = packFrameHead(eventsHead(0xffffffff, 2 ** 50, clockOffset), packed.length);
      expect(head.length - 4 + packed.length).toBeLessThanOrEqual(maxHelperPayload);
    }
    expect(keeper.pids).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  });

  test('the interest is told when a filter comes or goes for the first or last time only', () => {
    const { broadcast, interests } = makeBus();
    const ptraces = { events: ['ptrace'], threads: true };
    const subscribe = (): Subscription => new Keeper().subscribeTo(broadcast, ptraces);
    const [first, second] = [subscribe(), subscribe()];
    first.end();
    expect(interests).toEqual([unionOf([ownInterest, interestOf(parseFilter(ptraces))])]);
    subscribe().end();
    second.end();
    second.end();
    expect(interests.slice(1)).toEqual([ownInterest]);
  });

  test('an event tells of its process as it was at that moment, whatever came behind it in the batch', () => {
    const images = ['one', 'two'].map((comm) => ({ comm, detail: 'complete' as const }));
    const { broadcast, publish } = makeBus({ imageOf: () => images.shift() ?? expect.fail() });
    const keeper = new Keeper();
    keeper.subscribeTo(broadcast, { events: ['exec', 'exit', 'fork'] });
    publish([forkOf(7, 1), exec(7), exec(7), exitOf(7, 2n ** 61n)]);
    expect(keeper.wires.map((wire) => (wire as [string, ...unknown[]])[6])).toMatchObject([
      { process: { comm: '' } },
      { process: { comm: 'one' } },
      { process: { comm: 'two' } },
      { process: { comm: 'two' } },
    ]);
  });

  test('a subscription begins behind all that the kernel has told before', () => {
    const waiting = [exec(1), exec(2)];
    const { broadcast, publish } = makeBus({}, waiting);
    const keeper = new Keeper();
    keeper.subscribeTo(broadcast, { events: ['exec'] });
    expect(broadcast.seq).toBe(2);
    publish([exec(3)]);
    expect(keeper.pids).toEqual([3]);
  });

  test('a filter that is refused leaves nothing behind', () => {
    const { broadcast, table, interests, publish } = makeBus();
    publish([forkOf(5, 1)]);
    const refused = [{ subtree: [4] }, { subtree: [5], not: { subtree: [6] } }, { users: ['no such user'] }];
    for (const filter of refused) {
      expect(() => new Keeper().subscribeTo(broadcast, filter)).toThrow(ProcbusError);
      expect(() => broadcast.snapshot(filter, root, false)).toThrow(ProcbusError);
    }
    expect(interests).toEqual([]);
    expect(table.subtrees.isWatched(table.get(5)?.id ?? '')).toBe(false);
  });

  test('counts what was received by type', () => {
    const { broadcast, publish } = makeBus();
    publish([exec(1), { ...exec(1), type: 'sid' }, exec(2)]);
    expect(Object.fromEntries(broadcast.received)).toEqual({ exec: 2, sid: 1 });
  });

  test('every run has another epoch', () => {
    const epochs = Array.from({ length: 10 }, () => makeBus().broadcast.epoch);
    expect(new Set(epochs).size).toBe(10);
    for (const epoch of epochs) expect(epoch).toMatch(/^[0-9a-f]{16}$/);
  });
});

test('a loss that nobody can count takes one number, and says so', () => {
  const { broadcast, publish } = makeBus();
  const keeper = new Keeper();
  keeper.subscribeTo(broadcast, {});
  publish([exec(1)], 'unknown');
  publish([exec(2)]);
  expect(keeper.losses).toMatchObject([{ where: 'kernel', count: 0, from: 2, to: 2 }]);
  expect(keeper.wires.map((wire) => (wire as unknown[])[1])).toEqual([1, 3]);
  expect(broadcast.dropped).toBe(0);
});

describe('a subscription to a subtree', () => {
  const subtreeOf = (...roots: (number | string)[]): object => ({
    events: ['fork', 'exec', 'exit'],
    subtree: roots,
  });

  test('tells of the process that had the pid at the time, and of all that descend from it since', () => {
    const { broadcast, publish } = makeBus();
    publish([forkOf(10, 1), forkOf(11, 10), forkOf(20, 1)]);
    const keeper = new Keeper();
    keeper.subscribeTo(broadcast, subtreeOf(10));
    publish([exec(10), exec(11), exec(20), forkOf(12, 11), forkOf(21, 20)]);
    publish([exitOf(11, 2n ** 61n), exec(12), exitOf(10, 2n ** 61n), exec(12)]);
    // The pid is given anew: to somebody else.
    publish([forkOf(10, 1, 2n ** 62n), exec(10), forkOf(13, 12), exec(13)]);
    expect(keeper.pids).toEqual([10, 11, 12, 11, 12, 10, 12, 13, 13]);
  });

  test('can be joined by the id of a process that has ended, and goes on where others watch', () => {
    const { broadcast, table, publish } = makeBus();
    publish([forkOf(10, 1), forkOf(11, 10)]);
    const id = table.get(10)?.id ?? '';
    const early = new Keeper().subscribeTo(broadcast, subtreeOf(10));
    publish([exitOf(10, 2n ** 61n)]);
    const late = new Keeper();
    const subscription = late.subscribeTo(broadcast, subtreeOf(id));
    early.end();
    publish([exec(11)]);
    expect(late.pids).toEqual([11]);
    expect(listed(broadcast.snapshot({ subtree: [id] }, root, false)).map(({ pid }) => pid)).toEqual([11]);
    subscription.end();
    // What it had descends from it no more, for those who come now: only a watched mark would tell.
    expect(listed(broadcast.snapshot({ subtree: [id] }, root, false))).toEqual([]);
    expect([...table.all()].filter(({ subtrees }) => subtrees.size > 0)).toEqual([]);
  });
});

describe('a snapshot', () => {
  test('shows what was true when it was taken, however late it is looked at', () => {
    const { broadcast, publish } = makeBus({ imageOf: () => ({ comm: 'x', detail: 'complete' }) });
    publish([forkOf(1, 0), forkOf(2, 1), forkOf(3, 1)]);
    const snapshot = broadcast.snapshot({ subtree: [1] }, root, false);
    publish([exec(1), exitOf(2, 2n ** 61n), forkOf(4, 1), forkOf(2, 1, 2n ** 62n)]);
    expect(snapshot.size).toBe(3);
    expect(listed(snapshot)).toMatchObject([
      { pid: 1, comm: '' },
      { pid: 2, comm: '', startTime: 2n ** 60n + 2n },
      { pid: 3, ppid: 1 },
    ]);
    for (const process of listed(snapshot)) expect(process).not.toHaveProperty('endTime');
  });

  test('is true behind all that the kernel has told before, and says so', () => {
    const waiting = [forkOf(1, 0), forkOf(2, 1)];
    const { broadcast, publish } = makeBus({}, waiting);
    const keeper = new Keeper();
    keeper.subscribeTo(broadcast, {});
    waiting.push(exitOf(1, 2n ** 61n, 256));
    const snapshot = broadcast.snapshot({}, root, false);
    expect(snapshot.position.seq).toBe(3);
    expect(listed(snapshot)).toMatchObject([{ pid: 2 }]);
    expect(keeper.deliveries.at(-1)?.seq).toBe(3);
    publish([exec(2)]);
    expect(keeper.deliveries.at(-1)?.from).toBe(4);
  });

  test('has those that have ended not long ago where they are asked for, and conditions look at both', () => {
    const now = process.hrtime.bigint();
    const second = 1_000_000_000n;
    const { broadcast, publish } = makeBus();
    publish([
      forkOf(1, 0, now - 100n * second),
      forkOf(2, 1, now - 90n * second),
      exitOf(2, now - 61n * second),
      forkOf(3, 1, now - 80n * second),
      exitOf(3, now - 40n * second, 256),
      forkOf(4, 1, now - 30n * second),
      exitOf(4, now - 10n * second),
    ]);
    const pids = (filter: object, ended: boolean): number[] =>
      listed(broadcast.snapshot(filter, root, ended)).map(({ pid }) => pid);
    expect(pids({}, false)).toEqual([1]);
    expect(pids({}, true)).toEqual([1, 3, 4]);
    expect(pids({ minRuntime: 39 }, true)).toEqual([1, 3]);
    expect(pids({ maxRuntime: 21 }, true)).toEqual([4]);
    expect(pids({ exit: ['failed'] }, true)).toEqual([3]);
    expect(pids({ exit: [0] }, true)).toEqual([4]);
    expect(pids({ not: { exit: ['failed'] } }, true)).toEqual([1, 4]);
    // What an event would be is no matter of a snapshot.
    expect(pids({ events: ['coredump'], threads: true }, false)).toEqual([1]);
  });

  test('of a subtree leaves no marks, nor takes away those of a subscription', () => {
    const { broadcast, table, publish } = makeBus();
    publish([forkOf(10, 1), forkOf(11, 10), forkOf(12, 11)]);
    const marks = (): number[] => [...table.all()].map(({ subtrees }) => subtrees.size);
    const snapshot = (): number[] =>
      listed(broadcast.snapshot({ subtree: [10] }, root, false)).map(({ pid }) => pid);
    expect(snapshot()).toEqual([10, 11, 12]);
    expect(marks()).toEqual([0, 0, 0]);
    const subscription = new Keeper().subscribeTo(broadcast, { subtree: [10] });
    expect(snapshot()).toEqual([10, 11, 12]);
    expect(marks()).toEqual([1, 1, 1]);
    subscription.end();
    expect(marks()).toEqual([0, 0, 0]);
  });
});

describe('a bus that goes on where another one has ended', () => {
  const { broadcast } = makeBus({}, [], { predecessor: { epoch: 'old', seq: 40 } });
  const goneSince = (epoch: string, seq: number, asker = root): ProcbusError => {
    try {
      broadcast.subscribe({}, asker, { since: { epoch, seq } }, new Keeper());
    } catch (error) {
      return error as ProcbusError;
    }
    throw new Error('it is not gone');
  };

  test('tells who comes from there how many are missing, if any', () => {
    expect([40, 33, 0].map((seq) => goneSince('old', seq).missing)).toEqual([0, 7, 40]);
    expect(goneSince('old', 33)).toMatchObject({ code: 'gone', oldest: `${broadcast.epoch}:0` });
  });

  test('does not tell of what it does not know, nor who sees only what is theirs', () => {
    const own = { uid: 1000, grant: { ...fullGrant, scope: 'own' as const } };
    const all = [goneSince('old', 41), goneSince('other', 33), goneSince('old', 33, own)];
    expect(all.map(({ missing }) => missing)).toEqual([undefined, undefined, undefined]);
  });
});

describe('when the last subscriber of a kind has gone', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const linger = 60_000;
  const threads = { events: ['comm'], threads: true };
  const wantsThreads = (interest: Interest | undefined): boolean => interest?.threads.has('comm') === true;

  test('what it wanted is still wanted for a while', () => {
    const { broadcast, table, interests, publish } = makeBus({}, [], { linger });
    publish([forkOf(10, 1)]);
    const { id } = table.get(10) ?? expect.fail();
    new Keeper().subscribeTo(broadcast, { ...threads, subtree: [10] }).end();
    vi.advanceTimersByTime(linger - 1);
    expect([wantsThreads(interests.at(-1)), table.subtrees.isWatched(id)]).toEqual([true, true]);
    vi.advanceTimersByTime(1);
    expect([wantsThreads(interests.at(-1)), table.subtrees.isWatched(id)]).toEqual([false, false]);
    broadcast.close();
  });

  test('whoever comes back takes it over, and nothing ends while they are there', () => {
    const { broadcast, interests, publish } = makeBus({}, [], { linger });
    new Keeper().subscribeTo(broadcast, threads).end();
    vi.advanceTimersByTime(linger - 1);
    const keeper = new Keeper();
    const subscription = keeper.subscribeTo(broadcast, threads);
    vi.advanceTimersByTime(10 * linger);
    const comm: KernelEvent = { ...exec(1), type: 'comm', tid: 9, comm: 'x' };
    publish([comm]);
    expect(keeper.pids).toEqual([1]);
    expect(interests).toHaveLength(1);
    subscription.end();
    vi.advanceTimersByTime(linger);
    expect(interests.map(wantsThreads)).toEqual([true, false]);
    publish([comm]);
    expect(keeper.pids).toEqual([1]);
    broadcast.close();
  });

  test('no more than some are kept, the last ones', () => {
    const { broadcast, table, publish } = makeBus({}, [], { linger });
    const pids = Array.from({ length: 70 }, (_, index) => index + 10);
    publish(pids.map((pid) => forkOf(pid, 1)));
    for (const pid of pids) new Keeper().subscribeTo(broadcast, { subtree: [pid] }).end();
    const watched = pids.filter((pid) => table.subtrees.isWatched(table.get(pid)?.id ?? ''));
    expect(watched).toEqual(pids.slice(-64));
    vi.advanceTimersByTime(linger);
    expect([...table.all()].filter(({ subtrees }) => subtrees.size > 0)).toEqual([]);
    broadcast.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});

test('whoever is told nothing for 5 s is told how far the stream has come', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { broadcast, publish } = makeBus();
  const [quiet, busy] = [new Keeper(), new Keeper()];
  quiet.subscribeTo(broadcast, { events: ['ptrace'] });
  busy.subscribeTo(broadcast, { events: ['exec'] });
  for (let second = 1; second <= 20; second++) {
    vi.advanceTimersByTime(1000);
    publish([exec(second)]);
  }
  expect(quiet.deliveries.map(({ count }) => count)).toEqual([0, 0, 0, 0]);
  expect(quiet.deliveries.map(({ seq }) => seq)).toEqual([4, 9, 14, 19]);
  expect(busy.deliveries.map(({ count }) => count)).toEqual(Array.from({ length: 20 }, () => 1));
  broadcast.close();
  expect(vi.getTimerCount()).toBe(0);
});
