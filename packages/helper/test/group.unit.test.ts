import { fullGrant, unpack, type FilterRequest } from '@procbus/protocol';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Group } from '../src/bus/group.ts';
import type { Moment } from '../src/bus/entries.ts';
import { Selection } from '../src/bus/selection.ts';
import { threadTime } from '../src/libc.ts';
import { Process } from '../src/processes/process.ts';
import { eventOf, plainFacts, root } from './support/bus.ts';
import { Keeper } from './support/keeper.ts';

const process = new Process(7, 1n, plainFacts).portrait;

/** A group with one receiver, and a stream to take from. */
class Stream {
  readonly keeper = new Keeper();
  readonly group: Group;
  /** When each event was told, in ms. */
  readonly times: number[] = [];
  seq = 0;

  constructor(maxDelay: number, request: FilterRequest = {}) {
    const selection = new Selection(request, root, [], {});
    this.group = new Group(selection, maxDelay, () => this.seq);
    this.group.receivers.add({
      deliver: (delivery) => {
        this.keeper.deliver(delivery);
        for (let left = delivery.count; left > 0; left--) this.times.push(performance.now());
      },
      lose: (loss) => this.keeper.lose(loss),
      hasRoom: () => true,
    });
  }

  /** Has events happen, of one batch. */
  happen(count: number, type: 'exec' | 'sid' = 'exec'): void {
    const event = eventOf(type, 7);
    this.group.take(Array.from({ length: count }, () => ({ seq: ++this.seq, event, process })));
    this.group.settle();
  }

  get deliveries(): number[] {
    return this.keeper.deliveries.map(({ count }) => count);
  }
}

describe('a group', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('tells a few events at once, each of them', () => {
    const stream = new Stream(20);
    for (let nth = 1; nth <= 20; nth++) {
      stream.happen(1);
      expect(stream.deliveries).toHaveLength(nth);
    }
    // And so on as long as there is time between them.
    for (let nth = 1; nth <= 500; nth++) {
      vi.advanceTimersByTime(3);
      stream.happen(1);
      expect(stream.deliveries).toHaveLength(20 + nth);
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  test('holds back what comes fast, and tells many at a time', () => {
    const stream = new Stream(20);
    const happened: number[] = [];
    for (let ms = 0; ms < 1000; ms++) {
      for (let left = 4; left > 0; left--) {
        happened.push(performance.now());
        stream.happen(1);
      }
      vi.advanceTimersByTime(1);
    }
    vi.advanceTimersByTime(20);
    expect(stream.keeper.numbers).toEqual(happened.map((_, index) => index + 1));
    expect(stream.deliveries.length).toBeLessThan(150);
    stream.times.forEach((time, index) => {
      expect(time - (happened[index] as number)).toBeLessThanOrEqual(20);
    });
  });

  test('holds nothing back for longer than asked, keeps the order, and says how far it has come', () => {
    const step = fc.tuple(fc.nat(40), fc.integer({ min: 0, max: 80 }), fc.constantFrom('exec', 'sid'));
    const delay = fc.constantFrom(0, 1, 20, 500);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), delay, (steps, maxDelay) => {
        const stream = new Stream(maxDelay, { events: ['exec'] });
        const happened: { seq: number; time: number }[] = [];
        for (const [ms, count, type] of steps) {
          vi.advanceTimersByTime(ms);
          for (let nth = 1; nth <= count && type === 'exec'; nth++) {
            happened.push({ seq: stream.seq + nth, time: performance.now() });
          }
          stream.happen(count, type);
        }
        vi.advanceTimersByTime(maxDelay);
        expect(stream.keeper.numbers).toEqual(happened.map(({ seq }) => seq));
        expect(stream.keeper.misplaced).toEqual([]);
        const late = stream.times.filter((time, nth) => time - (happened[nth]?.time ?? NaN) > maxDelay);
        expect(late).toEqual([]);
        expect(vi.getTimerCount()).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test('has nothing wait where somebody wants no delay', () => {
    const stream = new Stream(0);
    for (let nth = 1; nth <= 300; nth++) {
      stream.happen(1);
      expect(stream.deliveries).toHaveLength(nth);
    }
  });

  test('tells at once what would be too much to hold back', () => {
    const stream = new Stream(10_000);
    stream.happen(64);
    stream.happen(4095);
    expect(stream.keeper.wires).toHaveLength(64);
    stream.happen(1);
    expect(stream.keeper.wires).toHaveLength(64 + 4096);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('tells a batch at once that comes after a silence, however large it is', () => {
    const stream = new Stream(20);
    vi.advanceTimersByTime(20);
    stream.happen(1000);
    expect(stream.keeper.wires).toHaveLength(1000);
  });

  test('tells each of its receivers the same bytes', () => {
    const stream = new Stream(20);
    const other = new Keeper();
    stream.group.receivers.add(other);
    stream.happen(3);
    stream.happen(100);
    stream.group.flush();
    expect(other.deliveries).toEqual(stream.keeper.deliveries);
    other.deliveries.forEach(({ packed }, nth) => expect(packed).toBe(stream.keeper.deliveries[nth]?.packed));
  });

  test('takes nothing as long as it has nobody to tell', () => {
    const stream = new Stream(20);
    stream.group.receivers.clear();
    stream.happen(100);
    stream.group.receivers.add(stream.keeper);
    stream.group.flush();
    expect(stream.keeper.items).toEqual([]);
  });

  test('tells of a loss behind all that was told before, as the grant has it', () => {
    const selection = new Selection({}, { uid: 1, grant: { ...fullGrant, scope: 'own' } }, [], {});
    const group = new Group(selection, 20, () => 20);
    const keeper = new Keeper();
    group.receivers.add(keeper);
    group.lose({ where: 'kernel', count: 4, from: 3, to: 6, kernelTime: 1n, clockOffset: 2n });
    expect(keeper.losses).toEqual([
      { where: 'kernel', count: 0, from: 6, to: 6, kernelTime: 1n, clockOffset: 2n },
    ]);
  });

  describe('whose receivers pay', () => {
    // What it takes to look is real time.
    beforeEach(() => void vi.useRealTimers());

    /** Events of a program each, at which it takes a ms to look. */
    const costly = (count: number): { moments: Moment[]; looks: () => number } => {
      let looks = 0;
      const look = (): string[] => {
        looks++;
        for (const begun = threadTime(); threadTime() < begun + 1;);
        return ['x'];
      };
      const moments = Array.from({ length: count }, (_, nth): Moment => {
        const facts = Object.defineProperty({ ...plainFacts }, 'args', { get: look });
        return { seq: nth + 1, event: eventOf('exec', 7), process: new Process(7, 1n, facts).portrait };
      });
      return { moments, looks: () => looks };
    };

    /** A group of receivers, each with so many µs to spend. */
    const groupOf = (
      ...purses: number[]
    ): { group: Group; keepers: Keeper[]; paid: number[]; fell: unknown[] } => {
      const group = new Group(new Selection({ args: ['*x*'] }, root, [], {}), 0, () => 1000);
      const [paid, fell]: [number[], unknown[]] = [purses.map(() => 0), []];
      const keepers = purses.map((purse, nth) => {
        const keeper = new Keeper();
        group.receivers.add({
          deliver: (delivery) => keeper.deliver(delivery),
          lose: (loss) => keeper.lose(loss),
          hasRoom: () => true,
          pay: (time) => (paid[nth] = (paid[nth] as number) + time) <= purse,
          fallBehind: (seq) => void fell.push([nth, seq]),
        });
        return keeper;
      });
      return { group, keepers, paid, fell };
    };

    test('has them share what it takes to look', () => {
      const { group, paid, fell } = groupOf(Infinity, Infinity);
      group.take(costly(40).moments);
      group.settle();
      group.take(costly(1).moments);
      expect(paid[0]).toBeGreaterThan(20_000);
      expect(paid[1]).toBe(paid[0]);
      expect(fell).toEqual([]);
    });

    test('tells one who cannot pay all that it has looked at, and nothing more, and goes on for the others', () => {
      const { group, keepers, fell } = groupOf(12_000, Infinity);
      group.take(costly(100).moments);
      group.settle();
      // It looks at the clock after 16 events, of which each pays for a half.
      expect(fell).toEqual([[0, 32]]);
      expect(keepers.map(({ numbers }) => numbers.length)).toEqual([32, 100]);
      expect(keepers.map(({ misplaced }) => misplaced)).toEqual([[], []]);
      expect(keepers[0]?.position).toBe(32);
    });

    test('looks at nothing for those who are in debt already', () => {
      const { group, keepers, fell } = groupOf(-1);
      const { moments, looks } = costly(100);
      group.take(moments);
      expect(looks()).toBe(0);
      expect(fell).toEqual([[0, 0]]);
      expect(keepers[0]?.items).toEqual([]);
    });
  });

  describe('in silence', () => {
    test('tells how far the stream has come, once in a while', () => {
      const stream = new Stream(20, { events: ['exec'] });
      stream.happen(1);
      vi.advanceTimersByTime(4999);
      stream.happen(10, 'sid');
      stream.group.beat(5000);
      expect(stream.deliveries).toEqual([1]);
      vi.advanceTimersByTime(1);
      stream.group.beat(5000);
      stream.group.beat(5000);
      expect(stream.deliveries).toEqual([1, 0]);
      const { seq, packed, count } = stream.keeper.deliveries[1] ?? expect.fail();
      expect([seq, unpack(packed), count]).toEqual([11, [], 0]);
      vi.advanceTimersByTime(5000);
      stream.group.beat(5000);
      expect(stream.deliveries).toEqual([1, 0, 0]);
    });

    test('does not pass over what is held back', () => {
      const stream = new Stream(10_000);
      stream.happen(64);
      stream.happen(2);
      vi.advanceTimersByTime(5000);
      stream.group.beat(5000);
      expect(stream.keeper.position).toBe(64);
      vi.advanceTimersByTime(5000);
      expect(stream.keeper.position).toBe(66);
      expect(stream.keeper.misplaced).toEqual([]);
    });

    test('says nothing where nobody listens', () => {
      const stream = new Stream(20);
      stream.group.receivers.clear();
      vi.advanceTimersByTime(5000);
      stream.group.beat(5000);
      stream.group.receivers.add(stream.keeper);
      stream.group.beat(5000);
      expect(stream.deliveries).toEqual([0]);
    });
  });
});
