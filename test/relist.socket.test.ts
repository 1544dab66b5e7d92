/*
 * A list and the events behind it: where events are missing, another list takes the place of the first.
 */
import { getEventListeners } from 'node:events';
import { helperMessage, ProcbusError, type StreamEvent } from '@procbus/protocol';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Bus } from '../packages/client/src/bus.ts';
import { connect, type ConnectOptions } from '../packages/client/src/connect.ts';
import type {
  ListAndWatchOptions,
  SnapshotEvent,
  SnapshotWatch,
} from '../packages/client/src/snapshot-watch.ts';
import { until } from './support/condition.ts';
import { helperHello } from './support/impostor.ts';
import { kernelLoss } from './support/loss.ts';
import { listed, part, processOf, told } from './support/messages.ts';
import { drain, take } from './support/reading.ts';
import { Script } from './support/script.ts';

const withCode = (code: string): object => ({ name: 'ProcbusError', code });
const reason = new Error('enough');

/** A list of pid 1 that is true at 40, and the events behind it. */
async function begin(
  options: ListAndWatchOptions = {},
  connecting: ConnectOptions = {},
): Promise<{ script: Script; bus: Bus; events: SnapshotWatch }> {
  const { script, socket } = await Script.start('snapshot');
  const bus = await connect({ socket, ...connecting });
  onTestFinished(async () => bus.close());
  const begun = bus.listAndWatch(options);
  const [, request] = await script.hears('snapshot');
  script.say(part(request, processOf(1)), listed(request));
  return { script, bus, events: (await begun).events };
}

const queueLoss = (from: number, to: number): unknown[] =>
  helperMessage.lost(1, { ...kernelLoss(from, to), where: 'queue' });

/** What an event tells, in short. */
const brief = (event: StreamEvent | SnapshotEvent): unknown => {
  if (event.type === 'snapshot') return [event.cursor, ...event.processes.map(({ pid }) => pid)];
  return event.type === 'lost' ? [event.where, event.from, event.to] : event.seq;
};

describe('events behind a list', () => {
  test('that were missed are made up for by another list, of the same processes', async () => {
    const options = { comm: ['a'], events: ['exec' as const], include: ['args' as const], ended: true };
    const { script, events } = await begin(options);
    script.say(told(1, 41), queueLoss(42, 45), told(1, 46, 48));
    for (const expected of [41, ['queue', 42, 45]]) {
      expect(brief((await events.next()).value as StreamEvent)).toEqual(expected);
    }
    const next = events.next();
    const [, request, ...asked] = await script.hears('snapshot', 2);
    expect(asked).toEqual(script.heard('snapshot')[0]?.slice(2));
    script.say(told(1, 49), part(request, processOf(1), processOf(2)), listed(request, 47), told(1, 50));
    expect(brief((await next).value as SnapshotEvent)).toEqual(['00:47', 1, 2]);
    expect(events.cursor).toBe('00:47');
    expect((await take(events, 3)).map(brief)).toEqual([48, 49, 50]);
    expect(script.heard('snapshot')).toHaveLength(2);
  });

  test('that the kernel lost are not: the helper finds out itself', async () => {
    const { script, events } = await begin();
    script.say(helperMessage.lost(1, kernelLoss(41, 44)), told(1, 45));
    expect((await take(events, 2)).map(brief)).toEqual([['kernel', 41, 44], 45]);
    expect(script.heard('snapshot')).toHaveLength(1);
  });

  test('that did not fit into the buffer are made up for, too, and losses before the list are left out', async () => {
    const { script, bus, events } = await begin({ bufferSize: 2 });
    script.say(told(1, 41, 42), told(1, 43, 44, 45), helperMessage.lost(1, kernelLoss(46, 47)), told(1, 48));
    await bus.ping();
    for (let left = 2; left > 0; left--) await events.next();
    expect(brief((await events.next()).value as StreamEvent)).toEqual(['queue', 43, 48]);
    const next = events.next();
    const [, request] = await script.hears('snapshot', 2);
    script.say(listed(request, 48), told(1, 49));
    expect(brief((await next).value as SnapshotEvent)).toEqual(['00:48']);
    expect((await take(events, 1)).map(brief)).toEqual([49]);
  });

  test('that another helper cannot tell are made up for by its list', async () => {
    const { script, events } = await begin();
    script.say(told(1, 41));
    script.hello = { ...helperHello, epoch: 'b' };
    await events.next();
    const next = events.next();
    script.refuse.set('subscribe', { code: 'gone', message: 'another run', oldest: 'b:3' });
    script.leave();
    const [, again] = await script.hears('subscribe', 3);
    script.say(told(again, 4, 5));
    expect(brief((await next).value as StreamEvent)).toEqual(['journal', 0, 3]);
    const later = events.next();
    const [, request] = await script.hears('snapshot', 2);
    script.say(part(request, processOf(9)), listed(request, 4), told(again, 6));
    expect(brief((await later).value as SnapshotEvent)).toEqual(['b:4', 9]);
    expect((await take(events, 2)).map(brief)).toEqual([5, 6]);
  });

  test('are listed again until a connection lasts so long', async () => {
    const { script, events } = await begin();
    script.say(queueLoss(41, 45), told(1, 46));
    await events.next();
    const next = events.next();
    for (let round = 2; round < 4; round++) {
      const [, request] = await script.hears('snapshot', round);
      script.say(part(request, processOf(1)));
      script.leave();
    }
    const [, request] = await script.hears('snapshot', 4);
    script.say(part(request, processOf(2)), listed(request, 50));
    expect(brief((await next).value as SnapshotEvent)).toEqual(['00:50', 2]);
    // What had arrived before is in the list; what the watch asked for on the last connection comes behind it.
    expect(script.heard('subscribe').map(([, , , options]) => options)).toEqual([
      undefined,
      { since: '00:46' },
      { since: '00:46' },
    ]);
    script.say(told(1, 51));
    expect((await take(events, 1)).map(brief)).toEqual([51]);
  });

  test('are listed again when there is a connection', async () => {
    const { script, bus, events } = await begin();
    script.say(queueLoss(41, 45));
    await bus.ping();
    await script.stop();
    await until('the end of the connection', () => script.clients === 0);
    await events.next();
    const next = events.next();
    await script.listen();
    const [, request] = await script.hears('snapshot', 2);
    script.say(listed(request, 50));
    expect(brief((await next).value as SnapshotEvent)).toEqual(['00:50']);
  });

  test('are listed again later if there is no quota left', async () => {
    const { script, events } = await begin();
    script.say(queueLoss(41, 45));
    await events.next();
    const next = events.next();
    const [, request] = await script.hears('snapshot', 2);
    script.say(helperMessage.error(request, { code: 'quota', message: 'too much' }));
    const [, again] = await script.hears('snapshot', 3);
    script.say(listed(again, 50));
    expect(brief((await next).value as SnapshotEvent)).toEqual(['00:50']);
  });

  test('are listed with the processes that pids meant at first', async () => {
    const { script, socket } = await Script.start('snapshot', 'subscribe');
    const bus = await connect({ socket });
    onTestFinished(async () => bus.close());
    const begun = bus.listAndWatch({ subtree: [10] });
    const [, request] = await script.hears('snapshot');
    script.say(helperMessage.result(1, { seq: 39, clockOffset: 0n, roots: { 10: '10.a' } }), listed(request));
    const { events } = await begun;
    script.say(queueLoss(41, 45));
    await events.next();
    const next = events.next();
    const [, again, filter] = await script.hears('snapshot', 2);
    expect(filter).toEqual({ subtree: ['10.a'] });
    script.say(listed(again, 50));
    await next;
  });

  test('end if they cannot be listed again, and are unsubscribed', async () => {
    const { script, bus, events } = await begin();
    script.say(queueLoss(41, 45), told(1, 46));
    const reading = drain<StreamEvent | SnapshotEvent>(events);
    const [, request] = await script.hears('snapshot', 2);
    script.say(helperMessage.error(request, new ProcbusError('bad-filter', 'subtree: no such process')));
    await expect(reading).rejects.toMatchObject(withCode('bad-filter'));
    await script.hears('unsubscribe');
    expect(await events.next()).toEqual({ done: true, value: undefined });
    await bus.ping();
  });

  test('end if there is to be no other connection to list them over', async () => {
    const { script, events } = await begin({}, { reconnect: false });
    script.say(queueLoss(41, 45));
    const reading = drain<StreamEvent | SnapshotEvent>(events);
    await script.hears('snapshot', 2);
    script.leave();
    await expect(reading).rejects.toMatchObject(withCode('disconnected'));
  });
});

describe('a list that is made again', () => {
  test.each<[string, (bus: Bus) => void, object]>([
    ['an aborted signal', () => undefined, reason],
    ['the end of the bus', (bus) => void bus.close(), withCode('disconnected')],
  ])('is given up by %s', async (_what, end, error) => {
    const controller = new AbortController();
    const { script, bus, events } = await begin({ signal: controller.signal });
    script.say(queueLoss(41, 45));
    await events.next();
    const next = events.next();
    await script.hears('snapshot', 2);
    end(bus);
    if (error === reason) controller.abort(reason);
    await expect(next).rejects.toMatchObject(error);
    expect(await events.next()).toEqual({ done: true, value: undefined });
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  test('is given up where the events are left', async () => {
    const { script, bus, events } = await begin();
    script.say(queueLoss(41, 45));
    await events.next();
    const next = events.next();
    const [, request] = await script.hears('snapshot', 2);
    await events.return();
    expect(await next).toEqual({ done: true, value: undefined });
    await script.hears('unsubscribe');
    script.say(listed(request, 50));
    await bus.ping();
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  test('is for one reader, one event at a time', async () => {
    const { script, events } = await begin();
    expect(events[Symbol.asyncIterator]()).toBe(events);
    expect(() => events[Symbol.asyncIterator]()).toThrow(expect.objectContaining({ code: 'usage' }));
    script.say(queueLoss(41, 45));
    await events.next();
    const next = events.next();
    await expect(events.next()).rejects.toMatchObject(withCode('usage'));
    const [, request] = await script.hears('snapshot', 2);
    script.say(listed(request, 50));
    expect(brief((await next).value as SnapshotEvent)).toEqual(['00:50']);
  });
});
