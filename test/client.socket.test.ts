/*
 * The client's watches at the helper's server: everything between a batch and a `for await`.
 */
import type { StreamEvent } from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { connect } from '../packages/client/src/connect.ts';
import { eventOf, execs, exitOf, forkOf, introduce } from '../packages/helper/test/support/bus.ts';
import { serve, subscriptionsOf } from '../packages/helper/test/support/serving.ts';
import { until } from './support/condition.ts';
import { answerAs, politely } from './support/impostor.ts';
import { drain, take } from './support/reading.ts';
import { eventsHead } from '../packages/protocol/test/wire-event.ts';

const withCode = (code: string): object => ({ name: 'ProcbusError', code });

const seqs = (events: readonly StreamEvent[]): number[] => events.map(({ seq }) => seq);

describe('a watch', () => {
  test('yields events with their types, times and losses', async () => {
    const { path, broadcast, table } = await serve();
    await using bus = await connect({ socket: path });
    const watch = bus.watch({ threads: true });
    expect(await watch.ready).toMatchObject({ seq: 0 });
    const at = { kernelTime: 2364689192613n, cpu: 1, pid: 1234, tid: 1234 };
    introduce(table, [{ type: 'exec', ...at }]);
    const clockOffset = 1763824642123456789n;
    broadcast.publish({
      events: table.follow([
        { type: 'fork', ...at, tid: 1235, ppid: 1200, ptid: 1201 },
        { type: 'comm', ...at, comm: '\u001b[2J' },
        { type: 'exit', ...at, status: 139, ppid: 1200 },
      ]),
      lost: 2,
      kernelTime: at.kernelTime,
      clockOffset,
    });
    const time = '2025-11-22T15:56:46.812649Z';
    const process = { comm: '', detail: 'gone' };
    // What is the time is said when events are sent, and may have changed since the loss was noticed.
    const anyTime = expect.stringMatching(/^20[\d-]+T[\d:]+\.\d{6}Z$/) as unknown;
    const stamp = {
      time: anyTime,
      kernelTime: '2364689192613',
      cpu: 1,
      pid: 1234,
      tid: 1234,
      process,
    };
    const named = { ...process, comm: '\u001b[2J' };
    expect(await take(watch, 4)).toMatchObject([
      { type: 'fork', seq: 1, ...stamp, tid: 1235, ppid: 1200, ptid: 1201 },
      { type: 'comm', seq: 2, ...stamp, process: named, comm: '\u001b[2J' },
      {
        type: 'exit',
        seq: 3,
        ...stamp,
        process: named,
        runtime: 0,
        status: 139,
        signal: 'SIGSEGV',
        coreDumped: true,
        ppid: 1200,
      },
      { type: 'lost', seq: 5, time, kernelTime: stamp.kernelTime, where: 'kernel', count: 2, from: 4, to: 5 },
    ]);
  });

  test('that is left by break is unsubscribed at the helper, and the connection goes on', async () => {
    const { path, publish, server } = await serve();
    await using bus = await connect({ socket: path });
    const watch = bus.watch({ events: ['exec'] });
    await watch.ready;
    publish(execs(3));
    for await (const event of watch) if (event.seq === 2) break;
    await until('it to be unsubscribed', () => subscriptionsOf(server) === 0);
    expect(await bus.ping()).toMatchObject({ seq: 3 });
    expect(server.connections.length).toBe(1);
  });

  test('that is aborted throws the reason and is unsubscribed at the helper', async () => {
    const { path, publish, server } = await serve();
    await using bus = await connect({ socket: path });
    const controller = new AbortController();
    const watch = bus.watch({ signal: controller.signal });
    await watch.ready;
    const read: StreamEvent[] = [];
    const reading = drain(watch, read);
    publish(execs(2));
    await until('both events', () => read.length === 2);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await until('it to be unsubscribed', () => subscriptionsOf(server) === 0);
    await bus.ping();
  });

  test('does not disturb another one of the same connection', async () => {
    const { path, publish, server } = await serve();
    await using bus = await connect({ socket: path });
    const [some, all] = [bus.watch({ events: ['sid'] }), bus.watch()];
    await Promise.all([some.ready, all.ready]);
    publish([eventOf('exec', 1), eventOf('sid', 2), eventOf('exec', 3, 4)]);
    expect(seqs(await take(some, 1))).toEqual([2]);
    await until('one to be unsubscribed', () => subscriptionsOf(server) === 1);
    publish([eventOf('sid', 5)], 1);
    expect(seqs(await take(all, 4))).toEqual([1, 2, 4, 5]);
  });

  test('too many are refused, and their readers hear of it', async () => {
    const { path } = await serve();
    await using bus = await connect({ socket: path });
    const watches = Array.from({ length: 65 }, () => bus.watch());
    const last = watches.pop();
    await Promise.all(watches.map(async ({ ready }) => ready));
    await expect(last?.next()).rejects.toMatchObject(withCode('too-many-subscriptions'));
    await expect(last?.ready).rejects.toMatchObject(withCode('too-many-subscriptions'));
  });

  test('with a filter that is wrong is refused before anything is sent', async () => {
    const { path, server } = await serve();
    await using bus = await connect({ socket: path });
    const wrong = { events: ['exce'] } as unknown as { events: ['exec'] };
    expect(() => bus.watch(wrong)).toThrow(expect.objectContaining({ code: 'bad-filter' }));
    expect(await bus.stats()).toMatchObject({ connection: { subscriptions: 0 } });
    expect(subscriptionsOf(server)).toBe(0);
  });

  test('skips types of events that it does not know', async () => {
    const about = { process: { id: '1.1', comm: 'sh', detail: 'complete' } };
    const events = [
      ['exec', 1, 1n, 0, 1, 1, about],
      ['freeze', 2, 2n, 0, 1, 1, { how: 'deeply' }],
      ['exec', 3, 3n, 0, 1, 1, about, 'more'],
    ];
    const told = [...eventsHead(1, 3, 0n), events];
    const socket = await answerAs((type, request) =>
      type === 'subscribe' ? [...politely(type, request), told] : politely(type, request),
    );
    await using bus = await connect({ socket });
    expect(seqs(await take(bus.watch(), 2))).toEqual([1, 3]);
  });
});

describe('a list', () => {
  test('and the events behind it tell of every process once', async () => {
    const { path, publish } = await serve();
    await using bus = await connect({ socket: path });
    const fork = (pid: number): void => publish([forkOf(pid, 1)]);
    for (let pid = 2; pid < 1000; pid++) fork(pid);
    const begun = bus.listAndWatch({ events: ['fork'] });
    // Some of these come before the snapshot, some behind it.
    let pid = 1000;
    for (let round = 0; round < 20; round++) {
      for (let count = 0; count < 10; count++) fork(pid++);
      await bus.ping();
    }
    const { cursor, processes, events } = await begun;
    const listed = processes.map((process) => process.pid).filter((listedPid) => listedPid > 1);
    const told: number[] = [];
    if (listed.length < pid - 2) {
      for await (const event of events) {
        if (event.type === 'fork') told.push(event.pid);
        if (listed.length + told.length >= pid - 2) break;
      }
    }
    expect([...listed, ...told]).toEqual(Array.from({ length: pid - 2 }, (_, index) => index + 2));
    expect(cursor).toBe(`${bus.hello.epoch}:${listed.length}`);
    expect(told.length).toBeGreaterThan(0);
  });

  test('holds what a filter lets through, and those that have ended where they are asked for', async () => {
    const { path, publish } = await serve({
      proc: { imageOf: ({ pid }) => ({ comm: `comm${pid}`, detail: 'partial' }) },
    });
    await using bus = await connect({ socket: path });
    publish([
      forkOf(2, 1),
      forkOf(3, 1),
      forkOf(4, 1),
      eventOf('exec', 2),
      eventOf('exec', 3),
      eventOf('exec', 4),
    ]);
    publish([exitOf(3, 2n ** 60n + 10n ** 9n, 256)]);
    const pids = async (...args: Parameters<typeof bus.list>): Promise<number[]> =>
      (await bus.list(...args)).processes.map(({ pid }) => pid);
    expect(await pids({ pids: [2, 3, 4] })).toEqual([2, 4]);
    expect(await pids({ comm: ['comm*'], not: { comm: ['comm2'] } }, { ended: true })).toEqual([3, 4]);
    expect((await bus.list({ exit: ['failed'] }, { ended: true })).processes).toMatchObject([
      { pid: 3, exitCode: 1 },
    ]);
  });
});

describe('a reader that is slow', () => {
  test('may ask the helper something for each event, also when its buffer is full', async () => {
    const { path, publish } = await serve();
    await using bus = await connect({ socket: path });
    const watch = bus.watch({ bufferSize: 10 });
    await watch.ready;
    for (let batch = 0; batch < 50; batch++) publish(execs(10));
    await until('the buffer to be full', () => watch.buffered === 10);
    let last = 0;
    for await (const event of watch) {
      expect(await bus.ping()).toMatchObject({ seq: 500 });
      last = event.type === 'lost' ? event.to : event.seq;
      if (last === 500) break;
    }
    expect(last).toBe(500);
  });

  test('reads or is told as lost every event, whatever its buffer', async () => {
    const { path, publish, broadcast, server } = await serve();
    await using bus = await connect({ socket: path });
    let losses = 0;
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 });
    const property = fc.asyncProperty(
      sizes,
      fc.integer({ min: 1, max: 100 }),
      async (batches, bufferSize) => {
        const watch = bus.watch({ bufferSize });
        const { seq } = await watch.ready;
        // Batches come two to an event that is read.
        const rest = batches.slice();
        const publishSome = (): void => {
          for (const count of rest.splice(0, 2)) publish(execs(count));
        };
        publishSome();
        let covered = seq;
        for await (const event of watch) {
          const { from, to, count } =
            event.type === 'lost' ? event : { from: event.seq, to: event.seq, count: 1 };
          expect([from, to]).toEqual([covered + 1, covered + count]);
          if (event.type === 'lost') losses++;
          covered = to;
          publishSome();
          await bus.ping();
          expect(watch.buffered).toBeLessThanOrEqual(bufferSize);
          if (rest.length === 0 && covered === broadcast.seq) break;
        }
        expect(covered).toBe(broadcast.seq);
      },
    );
    await fc.assert(property, { numRuns: 50 });
    expect(losses).toBeGreaterThan(0);
    // It was the client's buffer that was too small, not the helper's.
    expect(server.dropped).toBe(0);
  });
});
