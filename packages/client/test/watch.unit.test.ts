import { getEventListeners } from 'node:events';
import { ProcbusError, type Cursor, type Loss, type StreamEvent } from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { kernelLoss } from '../../../test/support/loss.ts';
import { Watch, type ReadingOptions } from '../src/watch.ts';
import { readerOf } from '../../protocol/test/wire-event.ts';

/** A watch that has not begun, and how often it unsubscribed. */
function openUnbegun(options: ReadingOptions = {}): { watch: Watch; unsubscribed: () => number } {
  let count = 0;
  const host = { unsubscribe: (): void => void count++ };
  return { watch: new Watch(host, options), unsubscribed: () => count };
}

/** A watch that begins with the first event there ever was, and how often it unsubscribed. */
function open(options: ReadingOptions = {}): { watch: Watch; unsubscribed: () => number } {
  const opened = openUnbegun(options);
  opened.watch.begin({ ...at(0), clockOffset: 0n });
  return opened;
}

const at = (seq: number, epoch = 'e'): Cursor => ({ epoch, seq });

/** Delivers events; the stream has been looked through up to the last of them. */
function tell(watch: Watch, events: readonly unknown[], clockOffset = 0n): void {
  const numbers = events.flatMap((wire) => (wire as unknown[]).slice(1, 2)).filter(Number.isInteger);
  watch.deliver(Math.max(0, ...(numbers as number[])), readerOf(events, clockOffset));
}

const about = { process: { id: '1.1', comm: 'sh', detail: 'complete' } };
const exec = (seq: number): unknown[] => ['exec', seq, BigInt(seq), 0, 1, 1, about];
const execs = (from: number, to: number): unknown[] =>
  Array.from({ length: to - from + 1 }, (_, index) => exec(from + index));

const gone = new ProcbusError('disconnected', 'the helper has gone');

/** Reads all there is of a watch that has failed. */
async function readAll(watch: Watch): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  await expect(
    (async () => {
      for await (const event of watch) events.push(event);
    })(),
  ).rejects.toBe(gone);
  return events;
}

/** What an event or a loss covers, as `[from, to, count]` and where it was lost. */
const cover = (event: StreamEvent): unknown =>
  event.type === 'lost' ? [event.where, event.from, event.to, event.count] : event.seq;

describe('reading', () => {
  test('gives events in order, however they are grouped', async () => {
    const { watch } = open();
    tell(watch, execs(1, 3));
    tell(watch, []);
    tell(watch, execs(4, 4));
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([1, 2, 3, 4]);
  });

  test('waits for what comes', async () => {
    const { watch } = open();
    const next = watch.next();
    tell(watch, [['freeze', 1, 1n, 0, 1, 1]]); // of a type that this version does not know
    tell(watch, [exec(2)], 1_000n);
    expect(await next).toMatchObject({ value: { seq: 2, time: '1970-01-01T00:00:00.000001Z' } });
    expect(watch.buffered).toBe(0);
  });

  test('is for one reader; a second one is refused', () => {
    const { watch } = open();
    expect(watch[Symbol.asyncIterator]()).toBe(watch);
    expect(() => watch[Symbol.asyncIterator]()).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  test('is one at a time: next() before the last one has settled is refused', async () => {
    const { watch } = open();
    const first = watch.next();
    await expect(watch.next()).rejects.toThrow(expect.objectContaining({ code: 'usage' }));
    tell(watch, [exec(1)]);
    expect(await first).toMatchObject({ done: false, value: { seq: 1 } });
  });

  test('stops at a malformed event, and gives the subscription up', async () => {
    const { watch, unsubscribed } = open();
    tell(watch, [exec(1), ['exec', 'x'], exec(3)]);
    const read: unknown[] = [];
    const reading = (async () => {
      for await (const event of watch) read.push(cover(event));
    })();
    await expect(reading).rejects.toThrow(expect.objectContaining({ code: 'bad-message' }));
    expect(read).toEqual([1]);
    expect(unsubscribed()).toBe(1);
  });
});

describe('batches', () => {
  test('are what has arrived, a message at a time, with losses in their place', async () => {
    const { watch } = open();
    const batches = watch.batches();
    tell(watch, execs(1, 3));
    watch.lose({ where: 'kernel', count: 2, from: 4, to: 5, kernelTime: 1n, clockOffset: 0n });
    tell(watch, []);
    tell(watch, execs(6, 7));
    expect(watch.buffered).toBe(5);
    watch.fail(gone);
    const told: unknown[] = [];
    await expect(
      (async () => {
        for await (const batch of batches) {
          if (batch.type === 'lost') told.push(cover(batch));
          else told.push([...batch].map(({ seq }) => seq));
        }
      })(),
    ).rejects.toBe(gone);
    expect(told).toEqual([
      [1, 2, 3],
      ['kernel', 4, 5, 2],
      [6, 7],
    ]);
    expect(watch.buffered).toBe(0);
  });

  test('tell of each event what was looked at, and all of it to who asks, also later', async () => {
    const { watch } = open();
    const batches = watch.batches();
    tell(watch, [exec(1), ['freeze', 2, 1n, 0, 8, 9], exec(3)]);
    const { value } = await batches.next();
    if (value?.type !== 'events') throw new Error('no batch');
    expect(value.length).toBe(3);
    const [first, strange, last] = [...value];
    expect(strange).toMatchObject({ type: 'freeze', seq: 2, pid: 8, tid: 9, event: undefined });
    expect(last?.event).toMatchObject({ type: 'exec', seq: 3, process: about.process });
    expect(first?.event).toMatchObject({ type: 'exec', seq: 1, process: about.process });
  });

  test('have been read when the next one is asked for', async () => {
    const { watch } = open();
    const batches = watch.batches();
    tell(watch, execs(1, 3));
    tell(watch, execs(4, 5));
    expect(watch.cursor).toBe('e:0');
    for (const cursor of ['e:0', 'e:3']) {
      await batches.next();
      expect(watch.cursor).toBe(cursor);
    }
    const more = batches.next();
    expect(watch.cursor).toBe('e:5');
    tell(watch, execs(6, 6));
    await more;
    expect(watch.cursor).toBe('e:5');
  });

  test('are for one reader, and end as the watch does', async () => {
    const { watch, unsubscribed } = open();
    const batches = watch.batches();
    expect(() => watch.batches()).toThrow(expect.objectContaining({ code: 'usage' }));
    expect(() => watch[Symbol.asyncIterator]()).toThrow(expect.objectContaining({ code: 'usage' }));
    tell(watch, execs(1, 3));
    for await (const batch of batches) {
      expect(batch.type).toBe('events');
      break;
    }
    expect(unsubscribed()).toBe(1);
  });
});

describe('a reader that is too slow', () => {
  test('is told what did not fit, in its place', async () => {
    const { watch } = open({ bufferSize: 4 });
    tell(watch, execs(1, 3));
    tell(watch, execs(4, 5));
    tell(watch, execs(6, 8));
    expect(watch.buffered).toBe(3);
    expect(await watch.next()).toMatchObject({ value: { seq: 1 } });
    tell(watch, execs(9, 10));
    tell(watch, execs(11, 11));
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([
      2,
      3,
      ['queue', 4, 8, 5],
      9,
      10,
      ['queue', 11, 11, 1],
    ]);
  });

  test('is told of each kind of loss apart, and of one kind at once', async () => {
    const { watch } = open({ bufferSize: 1 });
    tell(watch, [exec(1)]);
    watch.lose(kernelLoss(2, 5));
    watch.lose(kernelLoss(6, 6));
    tell(watch, [exec(7)]);
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([1, ['kernel', 2, 6, 5], ['queue', 7, 7, 1]]);
  });

  test('sees every event or a count of it: nothing is missing, doubled or out of place', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ deliver: fc.integer({ min: 1, max: 8 }) }) },
      { weight: 1, arbitrary: fc.record({ lose: fc.integer({ min: 1, max: 8 }) }) },
      { weight: 3, arbitrary: fc.record({ read: fc.integer({ min: 1, max: 8 }) }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 16 }),
        async (steps, size) => {
          const { watch } = open({ bufferSize: size });
          const read: StreamEvent[] = [];
          let seq = 0;
          for (const next of steps) {
            if ('deliver' in next) {
              tell(watch, execs(seq + 1, seq + next.deliver));
              seq += next.deliver;
            } else if ('lose' in next) {
              watch.lose(kernelLoss(seq + 1, seq + next.lose));
              seq += next.lose;
            } else {
              for (let left = next.read; left > 0 && watch.buffered > 0; left--) {
                const result = await watch.next();
                if (result.done !== true) read.push(result.value);
              }
            }
            expect(watch.buffered).toBeLessThanOrEqual(size);
          }
          watch.fail(gone);
          read.push(...(await readAll(watch)));

          // Losses of two kinds that follow each other may overlap; events never lie inside a loss.
          let told = 0;
          let [lastEvent, lastLoss] = [0, 0];
          for (const event of read) {
            if (event.type === 'lost') {
              expect(event.from).toBeGreaterThan(lastEvent);
              expect(event.to - event.from + 1).toBeGreaterThanOrEqual(event.count);
              lastLoss = Math.max(lastLoss, event.to);
              told += event.count;
            } else {
              expect(event.seq).toBeGreaterThan(Math.max(lastEvent, lastLoss));
              lastEvent = event.seq;
              told++;
            }
          }
          expect(told).toBe(seq);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('a watch that begins behind a snapshot', () => {
  test('leaves out what the snapshot shows, whether it came before or comes later', async () => {
    const { watch } = open();
    tell(watch, execs(1, 3));
    tell(watch, execs(4, 6));
    watch.skipTo(at(5));
    expect(watch.buffered).toBe(1);
    tell(watch, execs(7, 8));
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([6, 7, 8]);
  });

  test('leaves out what comes late, and from then on nothing', async () => {
    const { watch } = open();
    watch.skipTo(at(5));
    tell(watch, execs(1, 4));
    watch.lose(kernelLoss(5, 5));
    tell(watch, execs(6, 7));
    tell(watch, execs(8, 9));
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([6, 7, 8, 9]);
  });

  test('leaves out a loss that ends before it, and the part of one that reaches over it', async () => {
    const { watch } = open({ bufferSize: 3 });
    watch.lose(kernelLoss(1, 4));
    tell(watch, execs(5, 6));
    tell(watch, execs(7, 20));
    watch.lose(kernelLoss(21, 22));
    watch.skipTo(at(18));
    expect(watch.buffered).toBe(0);
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([
      ['queue', 19, 20, 2],
      ['kernel', 21, 22, 2],
    ]);
  });

  test('keeps what had arrived when the connection ends at this moment', async () => {
    const { watch } = open();
    tell(watch, execs(1, 9));
    watch.fail(gone);
    watch.skipTo(at(7));
    expect((await readAll(watch)).map(cover)).toEqual([8, 9]);
  });

  test('does not take a malformed event for one that may be skipped', async () => {
    const { watch } = open();
    tell(watch, [exec(1), ['exec', 'x'], exec(3)]);
    watch.skipTo(at(3));
    await expect(watch.next()).rejects.toThrow(expect.objectContaining({ code: 'bad-message' }));
  });
});

describe('the cursor of a watch', () => {
  test('is not known before it begins, unless it was told where', () => {
    expect(openUnbegun().watch.cursor).toBeUndefined();
    expect(openUnbegun({ since: at(7) }).watch.cursor).toBe('e:7');
    expect(open().watch.cursor).toBe('e:0');
  });

  test('lies behind what has been read, and not behind what has arrived', async () => {
    const { watch } = open();
    watch.deliver(20, readerOf(execs(3, 5)));
    watch.lose(kernelLoss(21, 24));
    watch.deliver(30, readerOf(execs(25, 26)));
    expect([watch.cursor, watch.received]).toEqual(['e:0', at(30)]);
    const seen: unknown[] = [];
    for (let left = 6; left > 0; left--) {
      await watch.next();
      seen.push(watch.cursor);
    }
    expect(seen).toEqual(['e:3', 'e:4', 'e:20', 'e:24', 'e:25', 'e:30']);
  });

  test('moves on with heartbeats, but only behind what has been read', async () => {
    const { watch } = open();
    watch.deliver(5, readerOf([]));
    expect(watch.cursor).toBe('e:5');
    watch.deliver(8, readerOf(execs(7, 8)));
    watch.deliver(12, readerOf([]));
    expect(watch.cursor).toBe('e:5');
    await watch.next();
    expect(watch.cursor).toBe('e:7');
    await watch.next();
    expect(watch.cursor).toBe('e:12');
    const next = watch.next();
    watch.deliver(15, readerOf([]));
    expect(watch.cursor).toBe('e:15');
    watch.deliver(16, readerOf(execs(16, 16)));
    expect(await next).toMatchObject({ value: { seq: 16 } });
  });

  test('moves over what did not fit when that is told', async () => {
    const { watch } = open({ bufferSize: 2 });
    watch.deliver(3, readerOf(execs(1, 2)));
    watch.deliver(9, readerOf(execs(4, 8)));
    watch.deliver(10, readerOf([]));
    await watch.next();
    await watch.next();
    expect(watch.cursor).toBe('e:3');
    expect(await watch.next()).toMatchObject({ value: { where: 'queue', from: 4, to: 8 } });
    expect(watch.cursor).toBe('e:10');
  });

  test('stays where it is when the watch is left, whatever was unread', async () => {
    const { watch } = open();
    tell(watch, execs(1, 9));
    await watch.next();
    await watch.return();
    expect(watch.cursor).toBe('e:1');
  });
});

describe('a watch that goes on elsewhere', () => {
  const missing = (to: number, from = 0): Loss => ({ ...kernelLoss(from, to), where: 'journal', count: 0 });

  test('at the same place tells nothing of it', async () => {
    const { watch } = open();
    tell(watch, execs(1, 2));
    watch.begin({ ...at(2), clockOffset: 0n });
    tell(watch, execs(3, 4));
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([1, 2, 3, 4]);
  });

  test('in another epoch tells what is missing, between what is unread of the old one and the new one', async () => {
    const { watch } = open();
    tell(watch, execs(100, 101));
    watch.begin({ ...at(5, 'f'), clockOffset: 0n }, missing(5));
    tell(watch, execs(6, 6));
    expect([watch.cursor, watch.received]).toEqual(['e:0', at(6, 'f')]);
    const seen: unknown[] = [];
    for (let left = 4; left > 0; left--) {
      const { value } = await watch.next();
      seen.push([cover(value as StreamEvent), watch.cursor]);
    }
    expect(seen).toEqual([
      [100, 'e:100'],
      [101, 'e:101'],
      [['journal', 0, 5, 0], 'f:5'],
      [6, 'f:6'],
    ]);
  });

  test('keeps its cursor before what is missing at its very beginning', async () => {
    const { watch } = openUnbegun({ since: at(100) });
    watch.begin({ ...at(5, 'f'), clockOffset: 0n }, missing(5));
    watch.deliver(7, readerOf([]));
    expect(watch.cursor).toBe('e:100');
    await watch.next();
    expect(watch.cursor).toBe('f:7');
  });

  test('again and again while nobody reads keeps one hole of each kind, in order', async () => {
    const { watch } = open();
    tell(watch, execs(1, 1));
    for (const epoch of ['f', 'g', 'h']) {
      watch.begin({ ...at(5, epoch), clockOffset: 0n }, missing(5));
      watch.lose(kernelLoss(6, 8));
    }
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([1, ['journal', 0, 5, 0], ['kernel', 6, 8, 9]]);
    expect(watch.cursor).toBe('h:8');
  });

  test('after a snapshot of a later epoch leaves out all before it, also what is still to come', async () => {
    const { watch } = open();
    tell(watch, execs(1, 9));
    watch.skipTo(at(40, 'f'));
    expect([watch.buffered, watch.cursor, watch.received]).toEqual([0, 'f:40', at(40, 'f')]);
    watch.begin({ ...at(30, 'f'), clockOffset: 0n }, missing(30));
    tell(watch, execs(31, 42));
    watch.begin({ ...at(5, 'g'), clockOffset: 0n }, missing(5));
    tell(watch, execs(6, 7));
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([41, 42, ['journal', 0, 5, 0], 6, 7]);
  });

  test('after a snapshot of an epoch that has ended meanwhile has what followed that', async () => {
    const { watch } = open();
    tell(watch, execs(1, 9));
    watch.begin({ ...at(5, 'f'), clockOffset: 0n }, missing(5));
    tell(watch, execs(6, 7));
    watch.skipTo(at(8));
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([9, ['journal', 0, 5, 0], 6, 7]);
  });
});

describe('a watch that would rather end than lose events', () => {
  test('ends with lagged when its buffer is full, after what is in it, and gives the subscription up', async () => {
    const { watch, unsubscribed } = open({ bufferSize: 4, onLag: 'disconnect' });
    tell(watch, execs(1, 3));
    tell(watch, execs(4, 5));
    tell(watch, execs(6, 6));
    expect(unsubscribed()).toBe(1);
    for (const seq of [1, 2, 3]) expect(await watch.next()).toMatchObject({ value: { seq } });
    await expect(watch.next()).rejects.toMatchObject({ code: 'lagged' });
    expect(await watch.next()).toEqual({ done: true, value: undefined });
    expect(watch.cursor).toBe('e:3');
  });
});

describe('the end', () => {
  test('by break unsubscribes once', async () => {
    const { watch, unsubscribed } = open();
    tell(watch, execs(1, 9));
    for await (const event of watch) if (event.seq === 2) break;
    await watch.return();
    expect(unsubscribed()).toBe(1);
    expect(watch.buffered).toBe(0);
    tell(watch, execs(10, 12));
    watch.lose(kernelLoss(13, 14));
    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });

  test('by an aborted signal throws its reason, whatever is unread', async () => {
    const controller = new AbortController();
    const { watch, unsubscribed } = open({ signal: controller.signal });
    tell(watch, execs(1, 9));
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(watch.next()).rejects.toBe(reason);
    expect(await watch.next()).toEqual({ done: true, value: undefined });
    expect(unsubscribed()).toBe(1);
  });

  test('by an aborted signal reaches a reader that waits', async () => {
    const controller = new AbortController();
    const { watch, unsubscribed } = open({ signal: controller.signal });
    const next = watch.next();
    controller.abort();
    await expect(next).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
    expect(unsubscribed()).toBe(1);
  });

  test('by a signal that was aborted before comes at once', async () => {
    const { watch, unsubscribed } = open({ signal: AbortSignal.abort('too late') });
    expect(unsubscribed()).toBe(0); // not from within the constructor
    await expect(watch.next()).rejects.toBe('too late');
    expect(unsubscribed()).toBe(1);
  });

  test('by a failure is thrown once, after what had arrived is read', async () => {
    const { watch, unsubscribed } = open();
    tell(watch, execs(1, 2));
    watch.lose(kernelLoss(3, 4));
    watch.fail(gone);
    tell(watch, execs(5, 5));
    expect((await readAll(watch)).map(cover)).toEqual([1, 2, ['kernel', 3, 4, 2]]);
    expect(await watch.next()).toEqual({ done: true, value: undefined });
    expect(unsubscribed()).toBe(0);
  });

  test('by a failure reaches a reader that waits', async () => {
    const { watch } = open();
    const next = watch.next();
    watch.fail(gone);
    await expect(next).rejects.toBe(gone);
  });

  test('comes to a reader when the subscription is refused', async () => {
    const refused = new ProcbusError('too-many-subscriptions', 'at most 64');
    const { watch } = openUnbegun();
    watch.fail(refused);
    await expect(watch.next()).rejects.toBe(refused);
    await expect(watch.ready).rejects.toBe(refused);
  });

  test('comes to who waits for the beginning when the watch is left, or aborted, before', async () => {
    const controller = new AbortController();
    const [left, aborted] = [openUnbegun(), openUnbegun({ signal: controller.signal })];
    await left.watch.return();
    await expect(left.watch.ready).rejects.toMatchObject({ code: 'disconnected' });
    controller.abort('enough');
    await expect(aborted.watch.ready).rejects.toBe('enough');
    await expect(aborted.watch.next()).rejects.toBe('enough');
  });

  test('leaves nothing behind on the signal', async () => {
    const { signal } = new AbortController();
    const [left, failed] = [open({ signal }), open({ signal })];
    expect(getEventListeners(signal, 'abort')).toHaveLength(2);
    await left.watch.return();
    failed.watch.fail(gone);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});
