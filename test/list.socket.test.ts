/*
 * Snapshots, with and without the events that follow them, from a helper that follows a script.
 */
import { helperMessage, ProcbusError, type StreamEvent } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { connect } from '../packages/client/src/connect.ts';
import type { SnapshotEvent } from '../packages/client/src/snapshot-watch.ts';
import { helperHello } from './support/impostor.ts';
import { kernelLoss } from './support/loss.ts';
import { listed as done, part, processOf, told as execs } from './support/messages.ts';
import { take } from './support/reading.ts';
import { Script } from './support/script.ts';

const withCode = (code: string): object => ({ name: 'ProcbusError', code });

const seqs = (events: readonly (StreamEvent | SnapshotEvent)[]): unknown[] =>
  events.map((event) => (event.type === 'snapshot' ? event.cursor : event.seq));

describe('a list of processes', () => {
  test('is put together from its parts, in the order of pids, with the place in the stream', async () => {
    const { script, socket } = await Script.start('snapshot');
    await using bus = await connect({ socket });
    const listed = bus.list({ comm: ['comm*'], not: { uids: [0, 5], pids: undefined }, users: undefined });
    const [, request, ...asked] = await script.hears('snapshot');
    expect(asked).toEqual([{ comm: ['comm*'], not: { uids: [0, 5] } }, false]);
    script.say(part(request, processOf(50), processOf(7, { tty: 34_819 })));
    script.say(part(request), ['news'], part(request, processOf(20, { args: ['a', 'b'], user: 'anna' })));
    await bus.ping(); // Parts and other things may take turns.
    script.say(done(request));

    const { cursor, processes } = await listed;
    expect(cursor).toBe(`${helperHello.epoch}:40`);
    expect(processes.map(({ pid }) => pid)).toEqual([7, 20, 50]);
    expect(processes[1]).toEqual({
      pid: 20,
      ppid: 1,
      id: '20.a',
      comm: 'comm20',
      detail: 'complete',
      args: ['a', 'b'],
      user: 'anna',
      uid: 0,
      euid: 0,
      gid: 0,
      egid: 0,
      sid: 1,
      startTime: '2025-11-22T15:17:42.000000Z',
      runtime: 80,
    });
    expect(processes[0]).toMatchObject({ tty: 'pts/3' });
  });

  test('holds those that have ended beside the one that has their pid now', async () => {
    const { script, socket } = await Script.start('snapshot');
    await using bus = await connect({ socket });
    const listed = bus.list({}, { ended: true });
    const [, request, ...asked] = await script.hears('snapshot');
    expect(asked).toEqual([{}, true]);
    const [early, late] = [90_000_000_000n, 90_000_001_000n];
    script.say(
      part(
        request,
        processOf(7, { startTime: late }),
        processOf(7, { startTime: early, endTime: late, status: 256 }),
      ),
      done(request),
    );
    const { processes } = await listed;
    expect(processes).toMatchObject([
      { exitCode: 1, runtime: 1e-6, endTime: expect.any(String) as unknown },
      { pid: 7 },
    ]);
    expect(processes[1]).not.toHaveProperty('endTime');
  });

  test('may be asked for twice at once', async () => {
    const { script, socket } = await Script.start('snapshot');
    await using bus = await connect({ socket });
    const both = Promise.all([bus.list(), bus.list({ pids: [8] })]);
    const [, first] = await script.hears('snapshot', 1);
    const [, second] = await script.hears('snapshot', 2);
    script.say(part(first, processOf(7)), part(second, processOf(8)), done(first), done(second, 41));
    expect(await both).toMatchObject([
      { cursor: '00:40', processes: [{ pid: 7 }] },
      { cursor: '00:41', processes: [{ pid: 8 }] },
    ]);
  });

  test('with a filter that is wrong is refused before anything is sent', async () => {
    const { script, socket } = await Script.start();
    await using bus = await connect({ socket });
    await expect(bus.list({ comm: [] })).rejects.toMatchObject(withCode('bad-filter'));
    await expect(bus.list({ com: ['a'] } as object)).rejects.toMatchObject(withCode('bad-filter'));
    await bus.ping();
    expect(script.asked.map(([type]) => type)).toEqual(['hello', 'ping']);
  });

  test('with a filter that is longer than a frame is refused, and the connection goes on', async () => {
    const { socket } = await Script.start('snapshot');
    await using bus = await connect({ socket });
    const users = Array.from({ length: 64 }, (_, index) => '語'.repeat(250) + index);
    await expect(bus.list({ users, container: users })).rejects.toMatchObject(withCode('frame-too-large'));
    await bus.ping();
  });

  test('that the helper refuses throws its error', async () => {
    const { script, socket } = await Script.start('snapshot');
    await using bus = await connect({ socket });
    const listed = bus.list({ subtree: [4711] });
    const [, request] = await script.hears('snapshot');
    script.say(
      helperMessage.error(request, new ProcbusError('bad-filter', 'subtree: there is no process 4711')),
    );
    await expect(listed).rejects.toMatchObject({
      code: 'bad-filter',
      message: 'subtree: there is no process 4711',
    });
    await bus.ping();
  });

  test.each<[string, unknown[]]>([
    ['a process without a pid', ['processes', 2, [{ ...processOf(7), pid: undefined }]]],
    ['a process that is none', ['processes', 2, ['init']]],
  ])('that is malformed throws, and the connection goes on: %s', async (_what, message) => {
    const { script, socket } = await Script.start('snapshot');
    await using bus = await connect({ socket });
    await bus.ping(); // so that the next request is number 2
    const listed = bus.list();
    const [, request] = await script.hears('snapshot');
    expect(request).toBe(2);
    script.say(message, done(request));
    await expect(listed).rejects.toMatchObject(withCode('bad-message'));
    await bus.ping();
  });

  test('throws what ends the connection in its midst', async () => {
    const { script, socket } = await Script.start('snapshot');
    await using bus = await connect({ socket, reconnect: false });
    const listed = bus.list();
    const [, request] = await script.hears('snapshot');
    script.say(part(request, processOf(7)));
    await bus.ping();
    script.leave();
    await expect(listed).rejects.toMatchObject(withCode('disconnected'));
    await expect(bus.list()).rejects.toMatchObject(withCode('disconnected'));
  });
});

describe('giving up a list', () => {
  const reason = new Error('enough');

  test('before the beginning sends nothing', async () => {
    const { script, socket } = await Script.start();
    await using bus = await connect({ socket });
    const signal = AbortSignal.abort(reason);
    await expect(bus.list({}, { signal })).rejects.toBe(reason);
    await expect(bus.listAndWatch({ signal })).rejects.toBe(reason);
    await bus.ping();
    expect(script.asked.map(([type]) => type)).toEqual(['hello', 'ping']);
  });

  test.each<[string, (request: number) => unknown[]]>([
    ['an answer', done],
    ['an error', (request) => helperMessage.error(request, new ProcbusError('internal', 'broken'))],
  ])('in its midst throws the reason; %s that comes late concerns nobody', async (_what, answer) => {
    const { script, socket } = await Script.start('snapshot');
    await using bus = await connect({ socket, reconnect: false });
    const controller = new AbortController();
    const listed = bus.list({}, { signal: controller.signal });
    const [, request] = await script.hears('snapshot');
    script.say(part(request, processOf(7)));
    await bus.ping();
    controller.abort(reason);
    await expect(listed).rejects.toBe(reason);
    script.say(part(request, processOf(8)), answer(request));
    await bus.ping();
    script.leave();
    await bus.closed;
    await expect(bus.ping()).rejects.toMatchObject(withCode('disconnected'));
  });

  test('before the events begin ends their subscription', async () => {
    const { script, socket } = await Script.start('snapshot');
    await using bus = await connect({ socket });
    const controller = new AbortController();
    const begun = bus.listAndWatch({ signal: controller.signal });
    const [, subscription] = await script.hears('subscribe');
    await script.hears('snapshot');
    controller.abort(reason);
    await expect(begun).rejects.toBe(reason);
    expect((await script.hears('unsubscribe'))[2]).toBe(subscription);
  });

  test('later ends the events', async () => {
    const { script, socket } = await Script.start('snapshot');
    await using bus = await connect({ socket });
    const controller = new AbortController();
    const begun = bus.listAndWatch({ signal: controller.signal });
    const [, request] = await script.hears('snapshot');
    script.say(done(request));
    const { events } = await begun;
    const next = events.next();
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);
    await script.hears('unsubscribe');
  });
});

describe('a list and the events behind it', () => {
  test('miss nothing and double nothing', async () => {
    const { script, socket } = await Script.start('snapshot');
    await using bus = await connect({ socket });
    const begun = bus.listAndWatch({ events: ['exec'], include: ['args'], ended: true, bufferSize: 100 });
    const [, subscription, subscribed] = await script.hears('subscribe');
    const [, request, filter, ended] = await script.hears('snapshot');
    expect(subscription).toBeLessThan(request);
    expect(subscribed).toEqual({ events: ['exec'], include: ['args'] });
    expect([filter, ended]).toEqual([subscribed, true]);
    script.say(
      execs(subscription, 37, 38),
      helperMessage.lost(subscription, kernelLoss(39, 39)),
      part(request, processOf(7)),
      done(request),
      execs(subscription, 40, 41),
      helperMessage.lost(subscription, kernelLoss(42, 43)),
      execs(subscription, 44),
    );
    const { cursor, processes, events } = await begun;
    expect(cursor).toBe('00:40');
    expect(processes).toHaveLength(1);
    script.say(execs(subscription, 45));
    const read = await take(events, 4);
    expect(seqs(read)).toEqual([41, 43, 44, 45]);
    expect(read[1]).toMatchObject({ type: 'lost', from: 42, to: 43, count: 2 });
    await script.hears('unsubscribe');
  });

  test('are told of a loss that reaches over the moment of the list', async () => {
    const { script, socket } = await Script.start('snapshot');
    await using bus = await connect({ socket });
    const begun = bus.listAndWatch();
    const [, subscription] = await script.hears('subscribe');
    const [, request] = await script.hears('snapshot');
    script.say(helperMessage.lost(subscription, kernelLoss(30, 42)), done(request), execs(subscription, 43));
    const { events } = await begun;
    expect(await take(events, 2)).toMatchObject([{ type: 'lost', from: 41, to: 42, count: 2 }, { seq: 43 }]);
  });

  test('end together where the list is refused', async () => {
    const { script, socket } = await Script.start('snapshot');
    await using bus = await connect({ socket });
    const begun = bus.listAndWatch();
    const [, subscription] = await script.hears('subscribe');
    const [, request] = await script.hears('snapshot');
    script.say(helperMessage.error(request, new ProcbusError('internal', 'broken')));
    await expect(begun).rejects.toMatchObject({ code: 'internal', message: 'broken' });
    expect((await script.hears('unsubscribe'))[2]).toBe(subscription);
    await bus.ping();
  });

  test('end together where the subscription is refused', async () => {
    const { script, socket } = await Script.start('snapshot', 'subscribe');
    await using bus = await connect({ socket });
    const begun = bus.listAndWatch();
    const [, subscription] = await script.hears('subscribe');
    const [, request] = await script.hears('snapshot');
    const refusal = new ProcbusError('too-many-subscriptions', '64 are in force');
    script.say(helperMessage.error(subscription, refusal), done(request));
    await expect(begun).rejects.toMatchObject(withCode('too-many-subscriptions'));
    await bus.ping();
    expect(script.asked.map(([type]) => type)).not.toContain('unsubscribe');
  });

  test('throw what ends the connection in the midst of the list', async () => {
    const { script, socket } = await Script.start('snapshot');
    const bus = await connect({ socket, reconnect: false });
    const begun = bus.listAndWatch();
    await script.hears('snapshot');
    script.say(helperMessage.goodbye(new ProcbusError('stopping', 'procbusd is stopping')));
    script.leave();
    await expect(begun).rejects.toMatchObject(withCode('stopping'));
    await bus.close();
  });

  test('with a filter that is wrong are refused before anything is sent', async () => {
    const { script, socket } = await Script.start();
    await using bus = await connect({ socket });
    await expect(bus.listAndWatch({ exit: ['badly' as 'failed'] })).rejects.toMatchObject(
      withCode('bad-filter'),
    );
    await bus.ping();
    expect(script.asked.map(([type]) => type)).toEqual(['hello', 'ping']);
  });
});
