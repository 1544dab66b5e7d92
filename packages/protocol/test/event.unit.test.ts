import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pack, unpack } from '../src/codec.ts';
import { eventTypes, isoTime, nanoseconds, type KernelEvent } from '../src/event.ts';
import { EventReader } from '../src/event-reader.ts';
import { EventWriter } from '../src/event-writer.ts';
import { maxHelperPayload } from '../src/frame.ts';
import { decodeWaitStatus } from '../src/wait-status.ts';
import { circumstances, clockOffset, kernelEvent, kernelTime } from './arbitraries.ts';
import { vectorOf } from './vectors.ts';
import { eventFromWire, eventToWire, readerOf } from './wire-event.ts';

/** ISO 8601 by hand: the date from a count of days, after Howard Hinnant's civil_from_days. */
function isoByHand(ns: bigint): string {
  const part = (unit: bigint, of: bigint, digits: number): string =>
    String((ns / unit) % of).padStart(digits, '0');
  const days = ns / 86_400_000_000_000n + 719_468n;
  const era = days / 146_097n;
  const dayOfEra = days % 146_097n;
  const yearOfEra = (dayOfEra - dayOfEra / 1460n + dayOfEra / 36_524n - dayOfEra / 146_096n) / 365n;
  const dayOfYear = dayOfEra - (365n * yearOfEra + yearOfEra / 4n - yearOfEra / 100n);
  const shiftedMonth = (5n * dayOfYear + 2n) / 153n;
  const day = dayOfYear - (153n * shiftedMonth + 2n) / 5n + 1n;
  const month = shiftedMonth < 10n ? shiftedMonth + 3n : shiftedMonth - 9n;
  const year = yearOfEra + era * 400n + (month <= 2n ? 1n : 0n);
  const date = [year, month, day].map((number) => String(number).padStart(2, '0')).join('-');
  const clock = [
    part(3_600_000_000_000n, 24n, 2),
    part(60_000_000_000n, 60n, 2),
    part(1_000_000_000n, 60n, 2),
  ];
  return `${date}T${clock.join(':')}.${part(1000n, 1_000_000n, 6)}Z`;
}

/** What is told of the process where it does not matter. */
const about = { process: { id: '4.0', comm: 'cat', detail: 'complete' } } as const;

const malformed = expect.objectContaining({ name: 'ProcbusError', code: 'bad-message' }) as unknown;

describe('an event', () => {
  const seq = fc.maxSafeInteger().map(Math.abs);

  test('of any type arrives as the kernel told it, its time exact, with its circumstances', () => {
    fc.assert(
      fc.property(kernelEvent, circumstances, seq, clockOffset, (event, told, number, offset) => {
        const arrived = eventFromWire(eventToWire(number, event, told), offset);
        expect(arrived).toEqual({
          ...event,
          ...(event.type === 'exit' && event.status !== undefined ? decodeWaitStatus(event.status) : {}),
          ...told,
          seq: number,
          kernelTime: String(event.kernelTime),
          time: isoTime(event.kernelTime + offset),
        });
      }),
      { numRuns: 1000 },
    );
  });

  test('is laid out by hand as it would be packed', () => {
    const events = fc.array(fc.tuple(kernelEvent, circumstances, seq), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(events, (list) => {
        const writer = new EventWriter();
        const wires = list.map(([event, told, number]) => {
          const { process, parent, runtime } = told;
          const packed = { process: pack(process), parent: parent && pack(parent), runtime };
          const synthetic = told.synthetic === true ? { synthetic: true as const } : {};
          writer.add(number, { ...event, ...synthetic }, packed);
          return eventToWire(number, event, told);
        });
        const [part, ...more] = writer.take();
        expect(more).toEqual([]);
        // An array tells its length in as few bytes as it can, or in two, as here.
        expect(part?.packed.subarray(0, 3)).toEqual(Buffer.of(0xdc, 0, list.length));
        expect(part?.packed.subarray(3)).toEqual(Buffer.concat(wires.map((wire) => pack(wire))));
        expect(part).toMatchObject({ count: list.length, from: list[0]?.[2], to: list.at(-1)?.[2] });
      }),
      { numRuns: 1000 },
    );
  });

  test('that is too much for one message is told in several, none longer than a message may be', () => {
    const writer = new EventWriter();
    const long = { process: pack('x'.repeat(maxHelperPayload / 3)) };
    const exec: KernelEvent = { type: 'exec', kernelTime: 1n, cpu: 0, pid: 1, tid: 1 };
    for (let number = 1; number <= 5; number++) writer.add(number, exec, long);
    expect(writer.count).toBe(5);
    const parts = writer.take();
    expect(parts.map(({ count, from, to }) => [count, from, to])).toEqual([
      [2, 1, 2],
      [2, 3, 4],
      [1, 5, 5],
    ]);
    for (const { packed, count } of parts) {
      expect(packed.length).toBeLessThanOrEqual(maxHelperPayload - 64);
      expect(unpack(packed)).toHaveLength(count);
    }
    expect(writer.count).toBe(0);
    expect(writer.take()).toEqual([]);
  });

  test('is read as far as its tid, or whole, in any order', () => {
    const events = fc.array(fc.tuple(kernelEvent, circumstances, seq), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(events, clockOffset, (list, offset) => {
        const wires = list.map(([event, told, number]) => eventToWire(number, event, told));
        const reader = readerOf(wires, offset);
        const views = list.map(() => reader.nextView());
        expect(reader.left).toBe(0);
        const whole = readerOf(wires, offset);
        const read = wires.map(() => whole.next());
        expect(views.map(({ type, seq: number, pid, tid }) => [type, number, pid, tid])).toEqual(
          read.map((event) => [event?.type, event?.seq, event?.pid, event?.tid]),
        );
        expect(views.toReversed().map(({ event }) => event)).toEqual(read.toReversed());
      }),
      { numRuns: 300 },
    );
  });

  test('whose bytes are not what they should be is an error, and nothing else', () => {
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    const events = fc.array(fc.tuple(kernelEvent, circumstances, seq), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(
        events,
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.nat(8),
        (list, changes, cut) => {
          const wires = list.map(([event, told, number]) => eventToWire(number, event, told));
          const bytes = pack(wires);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          for (const read of ['next', 'nextView'] as const) {
            try {
              const reader = new EventReader(bytes.subarray(0, bytes.length - cut), 0n);
              // A length that is a lie ends where the bytes do.
              while (reader.left > 0) reader[read]();
            } catch (error) {
              expect(error).toMatchObject({
                name: 'ProcbusError',
                code: expect.stringMatching(/^bad-/) as string,
              });
            }
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('that is an exit which nobody saw has no status, and arrives without', () => {
    fc.assert(
      fc.property(circumstances, kernelTime, (told, time) => {
        const exit: KernelEvent = {
          type: 'exit',
          kernelTime: time,
          cpu: -1,
          pid: 7,
          tid: 7,
          ppid: 1,
          synthetic: true,
        };
        const wire = eventToWire(1, exit, { ...told, synthetic: true });
        expect(wire[7]).toBeNull();
        const arrived = eventFromWire(wire, 0n);
        expect(arrived).toMatchObject({ type: 'exit', cpu: -1, ppid: 1, synthetic: true });
        for (const field of ['status', 'exitCode', 'signal', 'coreDumped'])
          expect(arrived).not.toHaveProperty(field);
      }),
    );
  });

  test('of each type stands in the vector events-all-types', () => {
    const [, , , offset, events] = vectorOf('events-all-types').value as [string, 1, 1, bigint, unknown[]];
    const arrived = events.map((wire) => eventFromWire(wire, offset));
    expect(arrived.map((event) => event?.type)).toEqual(eventTypes);
    expect(arrived[2]).toEqual({
      type: 'exit',
      seq: 4712,
      time: '2025-11-22T15:56:46.812649Z',
      kernelTime: '2364689192613',
      cpu: 1,
      pid: 1234,
      tid: 1234,
      status: 768,
      exitCode: 3,
      ppid: 1200,
      process: { id: '1234.u6bl3rol', comm: 'make', detail: 'complete' },
      runtime: 0.003,
    });
    expect(arrived[0]).toMatchObject({ process: { comm: 'bash' }, parent: { comm: 'bash' } });
    expect(arrived[6]).toMatchObject({ tracerPid: 1240, tracerTid: 1241 });
    expect(arrived[7]).toMatchObject({ comm: 'kworker/Ü:1' });
    expect(arrived[8]).toMatchObject({ pid: 1235, tid: 1236, ppid: 1200 });
    expect(arrived[7]).toMatchObject({ process: { comm: 'kworker/Ü:1' } });
  });

  test('of a later version is read without what is new in it', () => {
    const known = ['exec', 1, 2n, 3, 4, 4, about];
    const more = ['exec', 1, 2n, 3, 4, 4, { process: { ...about.process, mood: 'sunny' }, weather: 5 }];
    expect(eventFromWire([...more, 'more', {}], 0n)).toEqual(eventFromWire(known, 0n));
  });

  test('of an unknown type is none, whatever is told with it', () => {
    expect(eventFromWire(['freeze', 1, 2n, 3, 4, 4, 5], 0n)).toBeUndefined();
  });

  test.each<[string, unknown]>([
    ['no list', { type: 'exec' }],
    ['nil', null],
    ['without a pid', ['exec', 1, 2n, 3]],
    ['an exit whose status is a string', ['exit', 1, 2n, 3, 4, 4, about, '0', 1]],
    ['a synthetic exit without a parent', ['exit', 1, 2n, -1, 4, 4, { ...about, synthetic: true }, null]],
    ['with a seq that is a float', ['exec', 1.5, 2n, 3, 4, 4, about]],
    ['with a time that is a string', ['exec', 1, '2', 3, 4, 4, about]],
    ['with a time that is a float', ['exec', 1, 2.5, 3, 4, 4, about]],
    ['with a pid beyond 2^53', ['exec', 1, 2n, 3, 2n ** 60n, 4, about]],
    ['without circumstances', ['exec', 1, 2n, 3, 4, 4]],
    ['with circumstances of nil', ['sid', 1, 2n, 3, 4, 4, null]],
    ['without its process', ['exec', 1, 2n, 3, 4, 4, {}]],
    ['a fork without a parent', ['fork', 1, 2n, 3, 4, 4, about]],
    ['an exit without a status', ['exit', 1, 2n, 3, 4, 4, about]],
    ['an exit without a parent', ['exit', 1, 2n, 3, 4, 4, about, 0]],
    ['a uid without an effective one', ['uid', 1, 2n, 3, 4, 4, about, 0]],
    ['a gid without any', ['gid', 1, 2n, 3, 4, 4, about]],
    ['a ptrace without a tracer', ['ptrace', 1, 2n, 3, 4, 4, about]],
    ['a comm that is a number', ['comm', 1, 2n, 3, 4, 4, about, 5]],
    ['a coredump without a parent', ['coredump', 1, 2n, 3, 4, 4, about]],
  ])('that is malformed is refused: %s', (_name, wire) => {
    expect(() => eventFromWire(wire, 0n)).toThrow(malformed);
  });

  test('reads the same as JSON: nothing in it is a bigint or undefined', () => {
    fc.assert(
      fc.property(kernelEvent, circumstances, (event, told) => {
        const arrived = eventFromWire(eventToWire(1, event, told), 0n);
        expect(JSON.parse(JSON.stringify(arrived))).toEqual(arrived);
      }),
    );
  });
});

describe('isoTime', () => {
  test.each([
    [0n, '1970-01-01T00:00:00.000000Z'],
    [999n, '1970-01-01T00:00:00.000000Z'],
    [1_000n, '1970-01-01T00:00:00.000001Z'],
    [951_782_399_999_999_999n, '2000-02-28T23:59:59.999999Z'],
    [951_782_400_000_000_000n, '2000-02-29T00:00:00.000000Z'],
    [1_763_827_006_812_649_402n, '2025-11-22T15:56:46.812649Z'],
  ])('of %s is %s', (ns, iso) => {
    expect(isoTime(ns)).toBe(iso);
  });

  test('is right at every nanosecond until the year 2255', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 9_000_000_000_000_000_000n }), (ns) => {
        expect(isoTime(ns)).toBe(isoByHand(ns));
      }),
      { numRuns: 5000 },
    );
  });
});

test('a time is read from whatever size of integer it came as', () => {
  expect(nanoseconds(5)).toBe(5n);
  expect(nanoseconds(-5)).toBe(-5n);
  expect(nanoseconds(2n ** 63n)).toBe(2n ** 63n);
  for (const wrong of [1.5, 2 ** 54, '5', null, undefined]) {
    expect(() => nanoseconds(wrong)).toThrow(malformed);
  }
});

test('a time of 2^53 ns is read, which the codec gives as a number still', () => {
  expect(nanoseconds(unpack(pack(2n ** 53n)))).toBe(2n ** 53n);
});
