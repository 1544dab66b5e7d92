import {
  eventToWire,
  eventTypes,
  matches,
  parseFilter,
  unpack,
  type Filter,
  type KernelEvent,
  type Loss,
} from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { kernelEvent } from '../../protocol/test/arbitraries.ts';
import { Broadcast, type Delivery, type Receiver } from '../src/bus/broadcast.ts';
import type { Batch } from '../src/kernel/kernel-stream.ts';
import { interestOf, unionOf, type Interest } from '../src/kernel/socket-filter.ts';

/** Keeps what it is given. */
class Keeper implements Receiver {
  readonly filter: Filter;
  readonly deliveries: Delivery[] = [];
  readonly losses: Loss[] = [];

  constructor(request: object) {
    this.filter = parseFilter(request);
  }

  get wires(): unknown[] {
    return this.deliveries.flatMap(({ packed }) => unpack(packed) as unknown[]);
  }

  deliver(delivery: Delivery): void {
    this.deliveries.push(delivery);
  }

  lose(loss: Loss): void {
    this.losses.push(loss);
  }
}

const batchOf = (events: readonly KernelEvent[], lost = 0): Batch => ({
  events,
  lost,
  kernelTime: 5n,
  clockOffset: 7n,
});

const exec = (pid: number): KernelEvent => ({ type: 'exec', kernelTime: 2n ** 60n, cpu: 0, pid, tid: pid });
const noInterest: Interest = { processes: new Set(), threads: new Set() };

const request = fc.record({
  events: fc.uniqueArray(fc.constantFrom(...eventTypes), { minLength: 1 }),
  threads: fc.boolean(),
});

/** A batch that comes, or a subscription that begins or ends. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.array(kernelEvent, { maxLength: 20 }), fc.nat({ max: 3 })) },
  { weight: 1, arbitrary: request },
  { weight: 1, arbitrary: fc.nat() },
);

describe('Broadcast', () => {
  test('each receiver gets exactly what matches while it is subscribed, in order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const interests: Interest[] = [noInterest];
        const broadcast = new Broadcast((interest) => interests.push(interest));
        const subscribed = new Set<Keeper>();
        const expected = new Map<Keeper, { wires: unknown[]; losses: object[] }>();
        let seq = 0;

        for (const next of steps) {
          if (typeof next === 'number') {
            const leaving = [...subscribed][next % Math.max(1, subscribed.size)];
            if (leaving === undefined) continue;
            subscribed.delete(leaving);
            broadcast.unsubscribe(leaving.filter, leaving);
          } else if (!Array.isArray(next)) {
            const keeper = new Keeper(next);
            subscribed.add(keeper);
            expected.set(keeper, { wires: [], losses: [] });
            broadcast.subscribe(keeper.filter, keeper);
          } else {
            const [events, lost] = next;
            broadcast.publish(batchOf(events, lost));
            for (const keeper of subscribed) {
              const due = expected.get(keeper);
              events.forEach((event, index) => {
                if (matches(keeper.filter, event)) due?.wires.push(eventToWire(seq + 1 + index, event));
              });
              const from = seq + events.length + 1;
              if (lost > 0) due?.losses.push({ count: lost, from, to: from + lost - 1 });
            }
            seq += events.length + lost;
          }
          expect(broadcast.seq).toBe(seq);
          const union = unionOf([...subscribed].map(({ filter }) => interestOf(filter)));
          expect(broadcast.interest).toEqual(union);
          expect(interests.at(-1)).toEqual(union);
        }

        for (const [keeper, { wires, losses }] of expected) {
          expect(normal(keeper.wires)).toEqual(normal(wires));
          expect(keeper.losses).toEqual(losses.map((loss) => expect.objectContaining(loss) as unknown));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a delivery says how many events it has, which, and how far the stream was looked through', () => {
    const broadcast = new Broadcast(() => undefined);
    const keeper = new Keeper({ events: ['exec'] });
    broadcast.subscribe(keeper.filter, keeper);
    const sid: KernelEvent = { ...exec(1), type: 'sid' };
    broadcast.publish(batchOf([sid, exec(2), sid, exec(3), sid]));
    broadcast.publish(batchOf([sid, sid]));
    broadcast.publish(batchOf([exec(4)]));
    expect(keeper.deliveries).toEqual([
      expect.objectContaining({ count: 2, from: 2, to: 4, seq: 5, kernelTime: 5n, clockOffset: 7n }),
      expect.objectContaining({ count: 1, from: 8, to: 8, seq: 8 }),
    ]);
  });

  test('a loss comes behind the events of its batch, and takes numbers of its own', () => {
    const broadcast = new Broadcast(() => undefined);
    const keeper = new Keeper({});
    broadcast.subscribe(keeper.filter, keeper);
    broadcast.publish(batchOf([exec(1), exec(2)], 10));
    broadcast.publish(batchOf([exec(3)]));
    expect(keeper.losses).toEqual([
      { where: 'kernel', count: 10, from: 3, to: 12, kernelTime: 5n, clockOffset: 7n },
    ]);
    expect(keeper.deliveries.map(({ from, to }) => [from, to])).toEqual([
      [1, 2],
      [13, 13],
    ]);
    expect(broadcast.dropped).toBe(10);
  });

  test('receivers with equal filters share the bytes, others do not', () => {
    const broadcast = new Broadcast(() => undefined);
    const [first, second, other] = [
      new Keeper({ events: ['exec', 'exit'] }),
      new Keeper({ events: ['exit', 'exec', 'exec'] }),
      new Keeper({ events: ['exec'] }),
    ];
    for (const keeper of [first, second, other]) broadcast.subscribe(keeper.filter, keeper);
    broadcast.publish(batchOf([exec(1), exec(2)]));
    expect(first.deliveries[0]?.packed).toBeInstanceOf(Buffer);
    expect(first.deliveries[0]?.packed).toBe(second.deliveries[0]?.packed);
    expect(other.deliveries[0]?.packed).not.toBe(first.deliveries[0]?.packed);
  });

  test('a large batch is told in several deliveries, without a hole', () => {
    const broadcast = new Broadcast(() => undefined);
    const keeper = new Keeper({ events: ['exec'] });
    broadcast.subscribe(keeper.filter, keeper);
    const last: KernelEvent = { ...exec(1), type: 'sid' };
    broadcast.publish(batchOf([...Array.from({ length: 10_000 }, (_, index) => exec(index + 1)), last]));
    expect(keeper.deliveries.map(({ count, from, to, seq }) => [count, from, to, seq])).toEqual([
      [4096, 1, 4096, 4096],
      [4096, 4097, 8192, 8192],
      [1808, 8193, 10_000, 10_001],
    ]);
    expect(keeper.wires.map((wire) => (wire as unknown[])[4])).toEqual(
      Array.from({ length: 10_000 }, (_, index) => index + 1),
    );
  });

  test('the interest is told when a filter comes or goes for the first or last time only', () => {
    const interests: Interest[] = [];
    const broadcast = new Broadcast((interest) => interests.push(interest));
    const [first, second] = [new Keeper({ events: ['exec'] }), new Keeper({ events: ['exec'] })];
    broadcast.subscribe(first.filter, first);
    broadcast.subscribe(second.filter, second);
    broadcast.unsubscribe(first.filter, first);
    expect(interests).toEqual([{ processes: new Set(['exec']), threads: new Set() }]);
    broadcast.unsubscribe(first.filter, first);
    broadcast.unsubscribe(second.filter, second);
    expect(interests.slice(1)).toEqual([noInterest]);
  });

  test('counts what was received by type', () => {
    const broadcast = new Broadcast(() => undefined);
    broadcast.publish(batchOf([exec(1), { ...exec(1), type: 'sid' }, exec(2)]));
    expect(Object.fromEntries(broadcast.received)).toEqual({ exec: 2, sid: 1 });
  });

  test('every run has another epoch', () => {
    const epochs = Array.from({ length: 10 }, () => new Broadcast(() => undefined).epoch);
    expect(new Set(epochs).size).toBe(10);
    for (const epoch of epochs) expect(epoch).toMatch(/^[0-9a-f]{16}$/);
  });
});

/** Wires with integers of one kind: how wide one travelled is no matter of its value. */
function normal(wires: unknown[]): unknown {
  return wires.map((wire) =>
    (wire as unknown[]).map((item) => (typeof item === 'string' ? item : BigInt(item as number))),
  );
}

test('a loss that nobody can count takes one number, and says so', () => {
  const broadcast = new Broadcast(() => undefined);
  const keeper = new Keeper({});
  broadcast.subscribe(keeper.filter, keeper);
  broadcast.publish({ ...batchOf([exec(1)]), lost: 'unknown' });
  broadcast.publish(batchOf([exec(2)]));
  expect(keeper.losses).toMatchObject([{ where: 'kernel', count: 0, from: 2, to: 2 }]);
  expect(keeper.wires.map((wire) => (wire as unknown[])[1])).toEqual([1, 3]);
  expect(broadcast.dropped).toBe(0);
});
