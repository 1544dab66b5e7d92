import { getEventListeners } from 'node:events';
import { ProcbusError, type StreamEvent } from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { kernelLoss } from '../../../test/support/loss.ts';
import { Watch, type WatchOptions } from '../src/watch.ts';

/** A watch, and how often it unsubscribed. */
function open(options: WatchOptions = {}): { watch: Watch; unsubscribed: () => number } {
  let count = 0;
  const host = { unsubscribe: (): void => void count++ };
  const ready = Promise.resolve({ seq: 0, clockOffset: 0n });
  return { watch: new Watch(host, ready, options), unsubscribed: () => count };
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
    watch.deliver(execs(1, 3), 0n);
    watch.deliver([], 0n);
    watch.deliver(execs(4, 4), 0n);
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([1, 2, 3, 4]);
  });

  test('waits for what comes', async () => {
    const { watch } = open();
    const next = watch.next();
    watch.deliver([['freeze', 1, 1n, 0, 1, 1]], 0n); // of a type that this version does not know
    watch.deliver([exec(2)], 1_000n);
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
    watch.deliver([exec(1)], 0n);
    expect(await first).toMatchObject({ done: false, value: { seq: 1 } });
  });

  test('stops at a malformed event, and gives the subscription up', async () => {
    const { watch, unsubscribed } = open();
    watch.deliver([exec(1), ['exec', 'x'], exec(3)], 0n);
    const read: unknown[] = [];
    const reading = (async () => {
      for await (const event of watch) read.push(cover(event));
    })();
    await expect(reading).rejects.toThrow(expect.objectContaining({ code: 'bad-message' }));
    expect(read).toEqual([1]);
    expect(unsubscribed()).toBe(1);
  });
});

describe('a reader that is too slow', () => {
  test('is told what did not fit, in its place', async () => {
    const { watch } = open({ bufferSize: 4 });
    watch.deliver(execs(1, 3), 0n);
    watch.deliver(execs(4, 5), 0n);
    watch.deliver(execs(6, 8), 0n);
    expect(watch.buffered).toBe(3);
    expect(await watch.next()).toMatchObject({ value: { seq: 1 } });
    watch.deliver(execs(9, 10), 0n);
    watch.deliver(execs(11, 11), 0n);
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
    watch.deliver([exec(1)], 0n);
    watch.lose(kernelLoss(2, 5));
    watch.lose(kernelLoss(6, 6));
    watch.deliver([exec(7)], 0n);
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
              watch.deliver(execs(seq + 1, seq + next.deliver), 0n);
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
    watch.deliver(execs(1, 3), 0n);
    watch.deliver(execs(4, 6), 0n);
    watch.skipTo(5);
    expect(watch.buffered).toBe(1);
    watch.deliver(execs(7, 8), 0n);
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([6, 7, 8]);
  });

  test('leaves out what comes late, and from then on nothing', async () => {
    const { watch } = open();
    watch.skipTo(5);
    watch.deliver(execs(1, 4), 0n);
    watch.lose(kernelLoss(5, 5));
    watch.deliver(execs(6, 7), 0n);
    watch.deliver(execs(8, 9), 0n);
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([6, 7, 8, 9]);
  });

  test('leaves out a loss that ends before it, and the part of one that reaches over it', async () => {
    const { watch } = open({ bufferSize: 3 });
    watch.lose(kernelLoss(1, 4));
    watch.deliver(execs(5, 6), 0n);
    watch.deliver(execs(7, 20), 0n);
    watch.lose(kernelLoss(21, 22));
    watch.skipTo(18);
    expect(watch.buffered).toBe(0);
    watch.fail(gone);
    expect((await readAll(watch)).map(cover)).toEqual([
      ['queue', 19, 20, 2],
      ['kernel', 21, 22, 2],
    ]);
  });

  test('keeps what had arrived when the connection ends at this moment', async () => {
    const { watch } = open();
    watch.deliver(execs(1, 9), 0n);
    watch.fail(gone);
    watch.skipTo(7);
    expect((await readAll(watch)).map(cover)).toEqual([8, 9]);
  });

  test('does not take a malformed event for one that may be skipped', async () => {
    const { watch } = open();
    watch.deliver([exec(1), ['exec', 'x'], exec(3)], 0n);
    watch.skipTo(3);
    await expect(watch.next()).rejects.toThrow(expect.objectContaining({ code: 'bad-message' }));
  });
});

describe('the end', () => {
  test('by break unsubscribes once', async () => {
    const { watch, unsubscribed } = open();
    watch.deliver(execs(1, 9), 0n);
    for await (const event of watch) if (event.seq === 2) break;
    await watch.return();
    expect(unsubscribed()).toBe(1);
    expect(watch.buffered).toBe(0);
    watch.deliver(execs(10, 12), 0n);
    watch.lose(kernelLoss(13, 14));
    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });

  test('by an aborted signal throws its reason, whatever is unread', async () => {
    const controller = new AbortController();
    const { watch, unsubscribed } = open({ signal: controller.signal });
    watch.deliver(execs(1, 9), 0n);
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
    watch.deliver(execs(1, 2), 0n);
    watch.lose(kernelLoss(3, 4));
    watch.fail(gone);
    watch.deliver(execs(5, 5), 0n);
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
    const watch = new Watch({ unsubscribe: () => undefined }, Promise.reject(refused), {});
    await expect(watch.next()).rejects.toBe(refused);
    await expect(watch.ready).rejects.toBe(refused);
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
