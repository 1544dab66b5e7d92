import { eventTypes, type EventType } from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { numberOf, type Entry } from '../src/bus/entries.ts';
import { Journal } from '../src/bus/journal.ts';
import type { Interest } from '../src/kernel/socket-filter.ts';
import { monotonicTime } from '../src/libc.ts';
import { Process, type Facts } from '../src/processes/process.ts';
import { plainFacts } from './support/bus.ts';

const factsWith = (texts: Partial<Facts>): Facts => ({ ...plainFacts, ...texts });

/** Facts that entries share, by the length of the texts in them. */
const programs: readonly Facts[] = [0, 10, 300, 4000].map((length) => {
  const text = 'x'.repeat(length);
  return factsWith({ comm: text.slice(0, 15), args: [text, ''], exe: text });
});

/** An event of a process with some facts, or how many numbers a hole has; and the time since what was before. */
const addition = fc.record({
  what: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...programs) },
    {
      weight: 2,
      arbitrary: fc.nat(300).map((length) => factsWith({ cwd: 'x'.repeat(length) })),
    },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 5 }) },
  ),
  pause: fc.bigInt({ min: 0n, max: 2n }),
});

/** Entries one behind the other, as the bus adds them. */
function entriesOf(additions: readonly { what: Facts | number; pause: bigint }[]): Entry[] {
  let seq = 0;
  let kernelTime = 2n ** 60n;
  return additions.map(({ what, pause }) => {
    kernelTime += pause;
    if (typeof what === 'number') {
      const from = seq + 1;
      seq += what;
      return { where: 'kernel', count: what, from, to: seq, kernelTime, clockOffset: 0n };
    }
    const process = new Process(7, 1n, what).portrait;
    return { seq: ++seq, event: { type: 'exec', kernelTime, cpu: 0, pid: 7, tid: 7 }, process };
  });
}

const timeOf = (entry: Entry): bigint => ('where' in entry ? entry.kernelTime : entry.event.kernelTime);
const beforeOf = (entry: Entry): number => ('where' in entry ? entry.from : entry.seq) - 1;

/** What one entry takes. */
const entryBytes = sizeOf(entriesOf([{ what: 1, pause: 0n }]));

/** What entries take that nothing was held beside. */
function sizeOf(entries: readonly Entry[]): number {
  const journal = new Journal(Infinity);
  for (const entry of entries) journal.add(entry);
  return journal.size.bytes;
}

/** What is held of entries within a limit: the last ones, counted from behind. */
function modelOf(entries: readonly Entry[], limit: number): { held: Entry[]; bytes: number } {
  let bytes = 0;
  const facts = new Set<Facts>();
  const held: Entry[] = [];
  for (const entry of entries.toReversed()) {
    bytes += entryBytes;
    if ('event' in entry && !facts.has(entry.process.facts)) {
      bytes += sizeOf([entry]) - entryBytes;
      facts.add(entry.process.facts);
    }
    if (bytes > limit) return { held: held.toReversed(), bytes: sizeOf(held) };
    held.push(entry);
  }
  return { held: held.toReversed(), bytes };
}

describe('the journal', () => {
  test('holds as much of the last entries as there is room for, and finds them by number and by time', () => {
    const limit = fc.integer({ min: 0, max: 30_000 });
    fc.assert(
      fc.property(
        fc.array(addition, { maxLength: 60, size: 'max' }),
        limit,
        fc.nat(),
        (additions, most, at) => {
          const journal = new Journal(most);
          const entries = entriesOf(additions);
          entries.forEach((entry, index) => {
            journal.add(entry);
            const { held, bytes } = modelOf(entries.slice(0, index + 1), most);
            expect(journal.size).toEqual({ events: held.length, bytes, limit: most });
            expect(bytes).toBeLessThanOrEqual(most);
            // Every number behind the oldest is held.
            const [first] = held;
            expect(journal.oldest).toBe(first === undefined ? numberOf(entry) : beforeOf(first));
            expect(journal.begin).toBe(first === undefined ? undefined : timeOf(first));
          });
          const { held } = modelOf(entries, most);
          const end = entries.length === 0 ? 0 : numberOf(entries.at(-1) as Entry);
          const seq = journal.oldest + (at % (end - journal.oldest + 1));
          const behind = held.filter((entry) => numberOf(entry) > seq);
          expect(journal.after(seq, Infinity)).toEqual(behind);
          expect(journal.after(seq, 3)).toEqual(behind.slice(0, 3));
          for (const time of new Set(entries.map(timeOf))) {
            const next = held.find((entry) => timeOf(entry) >= time);
            expect(journal.before(time, end)).toBe(next === undefined ? end : beforeOf(next));
            const isAllHeld = entries.every((entry) => timeOf(entry) < time || held.includes(entry));
            expect(journal.reachesBackTo(time)).toBe(isAllHeld);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('keeps nothing of those that have made way', () => {
    // So many that the places of those before are given back several times.
    const journal = new Journal(20 * entryBytes);
    const many = Array.from({ length: 30_000 }, (_, index) => ({
      what: programs[index % 2] as Facts,
      pause: 1n,
    }));
    for (const entry of entriesOf(many)) journal.add(entry);
    expect(journal.size.events).toBeGreaterThan(15);
    expect(journal.after(journal.oldest, 100).map(numberOf)).toEqual(
      Array.from({ length: journal.size.events }, (_, index) => journal.oldest + index + 1),
    );
    const tooLong: Facts = { ...plainFacts, exe: 'x'.repeat(10 * 1024) };
    const [last] = entriesOf([{ what: tooLong, pause: 0n }]);
    journal.add({ ...last, seq: 30_001 } as Entry);
    expect(journal.size).toMatchObject({ events: 0, bytes: 0 });
    expect(journal.oldest).toBe(30_001);
    expect(journal.after(30_001, 10)).toEqual([]);
  });

  test('reaches back to when it was made, as long as nothing has made way', () => {
    const before = monotonicTime();
    const journal = new Journal();
    const after = monotonicTime();
    expect([journal.reachesBackTo(before - 1n), journal.reachesBackTo(after)]).toEqual([false, true]);
    expect([journal.begin, journal.seconds]).toEqual([undefined, 0]);
  });

  test('tells how many seconds it spans', () => {
    const journal = new Journal();
    const [entry] = entriesOf([{ what: 1, pause: 0n }]);
    journal.add({ ...entry, kernelTime: monotonicTime() - 90_000_000_000n } as Entry);
    expect(journal.seconds).toBeGreaterThanOrEqual(90);
    expect(journal.seconds).toBeLessThan(150);
  });
});

describe('what the journal covers', () => {
  const interest = (processes: EventType[], threads: EventType[] = []): Interest => ({
    processes: new Set(processes),
    threads: new Set(threads),
  });

  test('is what was wanted of the kernel all the time since', () => {
    const types = fc.subarray([...eventTypes]);
    const wish = fc.tuple(types, types).map(([processes, threads]) => interest(processes, threads));
    const wishes = fc.array(fc.tuple(wish, fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(wishes, wish, fc.nat(30), (steps, asked, from) => {
        const journal = new Journal();
        // What was wanted when each number was given out; before the first, nothing was.
        const wanted: Interest[] = [interest([])];
        for (const [wanting, count] of steps) {
          journal.collect(wanting, wanted.length - 1);
          for (let left = count; left > 0; left--) wanted.push(wanting);
        }
        const seq = from % (wanted.length - 1);
        const isCovered = wanted
          .slice(seq + 1)
          .every(
            (each) =>
              includesAll(each.processes, asked.processes) && includesAll(each.threads, asked.threads),
          );
        expect(journal.covers(asked, seq)).toBe(isCovered);
      }),
      { numRuns: 500 },
    );
  });

  test('is everything that nobody asks for', () => {
    expect(new Journal().covers(interest([]), 0)).toBe(true);
    expect(new Journal().covers(interest(['exec']), 0)).toBe(false);
  });
});

function includesAll<Item>(all: ReadonlySet<Item>, some: ReadonlySet<Item>): boolean {
  return [...some].every((one) => all.has(one));
}
