/*
 * Watches go on over the next connection: from where they were, or with a word on what is missing.
 */
import { helperMessage, type StreamEvent } from '@procbus/protocol';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Bus } from '../packages/client/src/bus.ts';
import { connect, type ConnectOptions } from '../packages/client/src/connect.ts';
import type { WatchOptions } from '../packages/client/src/watch.ts';
import { until } from './support/condition.ts';
import { helperHello } from './support/impostor.ts';
import { kernelLoss } from './support/loss.ts';
import { heartbeat, told } from './support/messages.ts';
import { drain, take } from './support/reading.ts';
import { Script } from './support/script.ts';

const withCode = (code: string): object => ({ name: 'ProcbusError', code });

async function open(options: ConnectOptions): Promise<Bus> {
  const bus = await connect(options);
  onTestFinished(async () => bus.close());
  return bus;
}

const started = (request: number, seq: number, roots?: Record<string, string>): unknown[] =>
  helperMessage.result(request, { seq, clockOffset: 0n, ...(roots === undefined ? {} : { roots }) });
const gone = (request: number, oldest?: string, missing?: number): unknown[] =>
  helperMessage.error(request, { code: 'gone', message: 'no longer held', oldest, missing });
const refused = (request: number, code: string): unknown[] =>
  helperMessage.error(request, { code, message: 'refused' });

/** What an event or a loss covers, as `[where, from, to, count]` where it was lost. */
const cover = (event: StreamEvent): unknown =>
  event.type === 'lost' ? [event.where, event.from, event.to, event.count] : event.seq;

describe('a watch', () => {
  test('goes on behind all that has arrived, read or not', async () => {
    const { script, socket } = await Script.start();
    const bus = await open({ socket });
    const resumed: unknown[] = [];
    const watch = bus.watch({ events: ['exec'], maxDelay: 5, onResume: (lost) => void resumed.push(lost) });
    await watch.ready;
    script.say(told(1, 5, 6), helperMessage.lost(1, kernelLoss(7, 9)), heartbeat(1, 11));
    expect(await watch.next()).toMatchObject({ value: { seq: 5 } });
    script.leave();
    const [, second, ...asked] = await script.hears('subscribe', 2);
    expect(asked).toEqual([{ events: ['exec'] }, { since: '00:11', maxDelay: 5 }]);
    expect(watch.cursor).toBe('00:5');
    script.say(told(second, 12));
    expect((await take(watch, 3)).map(cover)).toEqual([6, ['kernel', 7, 9, 3], 12]);
    expect(watch.cursor).toBe('00:12');
    expect(resumed).toEqual([undefined]);
  });

  test('goes on again and again, also without anything to tell in between', async () => {
    const { script, socket } = await Script.start();
    const bus = await open({ socket });
    const watch = bus.watch();
    await watch.ready;
    script.say(told(1, 5));
    await until('the event', () => watch.buffered === 1);
    for (let round = 2; round < 5; round++) {
      script.leave();
      const [, , , options] = await script.hears('subscribe', round);
      expect(options).toEqual({ since: '00:5' });
      await bus.ping();
    }
    script.say(told(1, 6));
    expect((await take(watch, 2)).map(cover)).toEqual([5, 6]);
  });

  test('whose subscription was never answered asks for it again', async () => {
    const { script, socket } = await Script.start('subscribe');
    const bus = await open({ socket });
    const [watch, since] = [bus.watch(), bus.watch({ since: '00:3' })];
    await script.hears('subscribe', 2);
    script.leave();
    const [, first, , options] = await script.hears('subscribe', 3);
    const [, second, , sinceOptions] = await script.hears('subscribe', 4);
    expect([options, sinceOptions]).toEqual([undefined, { since: '00:3' }]);
    script.say(started(first, 8), started(second, 3));
    expect(await watch.ready).toEqual({ seq: 8, clockOffset: 0n });
    expect([await since.ready, watch.cursor]).toEqual([{ seq: 3, clockOffset: 0n }, '00:8']);
  });

  test('that is made while there is no connection begins with the next one', async () => {
    const { script, socket } = await Script.start();
    const bus = await open({ socket });
    await script.stop();
    await until('the end of the connection', () => script.clients === 0);
    const controller = new AbortController();
    const [watch, left, aborted] = [bus.watch(), bus.watch(), bus.watch({ signal: controller.signal })];
    await left.return();
    controller.abort('enough');
    await expect(aborted.ready).rejects.toBe('enough');
    await script.listen();
    await watch.ready;
    await bus.ping();
    expect(script.heard('subscribe')).toHaveLength(1);
  });

  test('that is left or aborted while there is no connection is not subscribed again', async () => {
    const { script, socket } = await Script.start();
    const bus = await open({ socket });
    const controller = new AbortController();
    const [left, aborted] = [bus.watch(), bus.watch({ signal: controller.signal })];
    await Promise.all([left.ready, aborted.ready]);
    await script.stop();
    await until('the end of the connection', () => script.clients === 0);
    const next = aborted.next();
    controller.abort('enough');
    await expect(next).rejects.toBe('enough');
    await left.return();
    await script.listen();
    await bus.ping();
    expect(script.heard('subscribe')).toHaveLength(2);
  });

  test('keeps to the processes that its pids meant at first', async () => {
    const { script, socket } = await Script.start('subscribe');
    const bus = await open({ socket });
    const watch = bus.watch({ subtree: [10, '5.x'], not: { subtree: [11], comm: ['a'] } });
    const [, first] = await script.hears('subscribe');
    script.say(started(first, 0, { 10: '10.a', 11: '11.b' }));
    await watch.ready;
    for (let round = 2; round < 4; round++) {
      script.leave();
      const [, request, filter] = await script.hears('subscribe', round);
      expect(filter).toEqual({ subtree: ['10.a', '5.x'], not: { subtree: ['11.b'], comm: ['a'] } });
      script.say(started(request, 0));
    }
  });

  test('whose processes are not known any more ends with that, and others go on', async () => {
    const { script, socket } = await Script.start('subscribe');
    const bus = await open({ socket });
    const [lost, kept] = [bus.watch({ subtree: [10] }), bus.watch()];
    await script.hears('subscribe', 2);
    script.say(started(1, 0, { 10: '10.a' }), started(2, 0), told(1, 4), told(2, 4));
    await Promise.all([lost.ready, kept.ready]);
    script.leave();
    const [, first] = await script.hears('subscribe', 3);
    const [, second] = await script.hears('subscribe', 4);
    script.say(refused(first, 'bad-filter'), started(second, 4), told(second, 5));
    const read: StreamEvent[] = [];
    await expect(drain(lost, read)).rejects.toMatchObject(withCode('bad-filter'));
    expect(read.map(cover)).toEqual([4]);
    for (const seq of [4, 5]) expect(await kept.next()).toMatchObject({ value: { seq } });
    script.leave();
    await script.hears('subscribe', 5);
    await bus.ping();
    expect(script.heard('subscribe')).toHaveLength(5);
  });

  test('that is refused for the quota comes back until there is room', async () => {
    const { script, socket } = await Script.start('subscribe');
    const bus = await open({ socket });
    const watch = bus.watch();
    await script.hears('subscribe');
    script.say(started(1, 0), told(1, 4));
    await watch.ready;
    script.leave();
    for (let round = 2; round < 4; round++) {
      const [, request, , options] = await script.hears('subscribe', round);
      expect(options).toEqual({ since: '00:4' });
      script.say(refused(request, 'quota'));
    }
    const [, request] = await script.hears('subscribe', 4);
    script.say(started(request, 4), told(request, 5));
    expect((await take(watch, 2)).map(cover)).toEqual([4, 5]);
    expect(script.connections).toBe(2);
  });

  test('that is refused for the quota at first ends with that', async () => {
    const { script, socket } = await Script.start('subscribe');
    const bus = await open({ socket });
    const watch = bus.watch();
    const [, request] = await script.hears('subscribe');
    script.say(refused(request, 'quota'));
    await expect(watch.next()).rejects.toMatchObject(withCode('quota'));
  });

  test('that would rather end than lose events ends with lagged, and others go on', async () => {
    const { script, socket } = await Script.start();
    const bus = await open({ socket });
    const [strict, patient] = [bus.watch({ onLag: 'disconnect' }), bus.watch({ onLag: 'drop' })];
    await Promise.all([strict.ready, patient.ready]);
    expect(script.heard('subscribe').map(([, , , options]) => options)).toEqual([
      { onLag: 'disconnect' },
      { onLag: 'drop' },
    ]);
    script.say(told(1, 4), told(2, 4));
    script.leave({ code: 'lagged', message: 'read too slowly' });
    const read: StreamEvent[] = [];
    await expect(drain(strict, read)).rejects.toMatchObject({ code: 'lagged', message: 'read too slowly' });
    expect([read.map(cover), strict.cursor]).toEqual([[4], '00:4']);
    const [, request] = await script.hears('subscribe', 3);
    script.say(told(request, 5));
    expect((await take(patient, 2)).map(cover)).toEqual([4, 5]);
    expect(script.heard('subscribe')).toHaveLength(3);
  });
});

describe('a helper', () => {
  test('that tells events before it has answered is not understood', async () => {
    const { script, socket } = await Script.start('subscribe');
    const bus = await open({ socket });
    const watch = bus.watch();
    await script.hears('subscribe');
    script.say(told(1, 5));
    await expect(watch.next()).rejects.toMatchObject(withCode('bad-message'));
    await bus.closed;
  });
});

describe('what cannot be resumed', () => {
  /** A watch that has read up to 4 when it loses its connection, and is asked for again. */
  async function interrupted(
    hello: Partial<typeof helperHello> = {},
    options: WatchOptions = {},
  ): Promise<{
    script: Script;
    read: StreamEvent[];
    request: number;
    resumed: unknown[];
    failure: Promise<unknown>;
  }> {
    const { script, socket } = await Script.start('subscribe');
    const bus = await open({ socket });
    const resumed: unknown[] = [];
    const watch = bus.watch({ onResume: (lost) => void resumed.push(lost), ...options });
    await script.hears('subscribe');
    script.say(started(1, 0), told(1, 4));
    const read: StreamEvent[] = [];
    const failure = drain(watch, read).catch((error: unknown) => error);
    await until('the event', () => read.length === 1);
    script.hello = { ...helperHello, ...hello };
    script.leave();
    const [, request, , asked] = await script.hears('subscribe', 2);
    expect(asked).toEqual({ since: '00:4' });
    return { script, read, request, resumed, failure };
  }

  test('is told as lost, before what there is from then on', async () => {
    const { script, read, request, resumed } = await interrupted();
    script.say(gone(request, '00:20'));
    const [, next, , asked] = await script.hears('subscribe', 3);
    expect(asked).toEqual({ since: '00:20' });
    script.say(started(next, 20), told(next, 21));
    await until('the event', () => read.length === 3);
    expect(read.map(cover)).toEqual([4, ['journal', 5, 20, 16], 21]);
    expect(
      Math.abs(Date.parse(read[1]?.time ?? '') - Number(process.hrtime.bigint() / 1_000_000n)),
    ).toBeLessThan(
      5000, // in the time of a helper that says that its clock began with the machine
    );
    expect(resumed).toEqual([read[1]]);
  });

  test('has no number where the helper is another one', async () => {
    const { script, read, request, resumed } = await interrupted({ epoch: 'b' });
    script.say(gone(request, 'b:2'));
    const [, next, , asked] = await script.hears('subscribe', 3);
    expect(asked).toEqual({ since: 'b:2' });
    script.say(started(next, 2), told(next, 3));
    await until('the event', () => read.length === 3);
    expect(read.map(cover)).toEqual([4, ['journal', 0, 2, 0], 3]);
    expect(resumed).toEqual([read[1]]);
  });

  test('has a number where that one knows how much it was, and is not told where it was nothing', async () => {
    for (const missing of [7, 0]) {
      const { script, read, request, resumed } = await interrupted({ epoch: 'b' });
      script.say(gone(request, 'b:0', missing));
      const [, next, , asked] = await script.hears('subscribe', 3);
      expect(asked).toEqual({ since: 'b:0' });
      script.say(started(next, 0), told(next, 1));
      const lost = missing === 0 ? [] : [['journal', 0, 0, missing]];
      await until('the event', () => read.length === 2 + lost.length);
      expect(read.map(cover)).toEqual([4, ...lost, 1]);
      expect(resumed).toEqual([missing === 0 ? undefined : read[1]]);
    }
  });

  test('has no number for one who sees only what is his', async () => {
    const { script, read, request } = await interrupted({ grant: { ...helperHello.grant, scope: 'own' } });
    script.say(gone(request, '00:20'));
    const [, next] = await script.hears('subscribe', 3);
    script.say(started(next, 20));
    await until('the loss', () => read.length === 2);
    expect(read.map(cover)).toEqual([4, ['journal', 5, 20, 0]]);
  });

  test('is told if the helper has run back behind it', async () => {
    const { script, read, request } = await interrupted();
    script.say(gone(request, '00:2'));
    const [, next] = await script.hears('subscribe', 3);
    script.say(started(next, 2), told(next, 3));
    await until('the event', () => read.length === 3);
    expect(read.map(cover)).toEqual([4, ['journal', 0, 2, 0], 3]);
  });

  test('may grow while it is asked for; in the end it goes on with what comes', async () => {
    const { script, read, request, resumed } = await interrupted();
    script.say(gone(request, '00:20'));
    const [, second] = await script.hears('subscribe', 3);
    script.say(gone(second, '00:30'));
    const [, third, , asked] = await script.hears('subscribe', 4);
    expect(asked).toEqual({ since: '00:30' });
    script.say(gone(third, '00:40'));
    const [, fourth, , finally_] = await script.hears('subscribe', 5);
    expect(finally_).toBeUndefined();
    script.say(started(fourth, 50), told(fourth, 51));
    await until('the event', () => read.length === 3);
    expect(read.map(cover)).toEqual([4, ['journal', 5, 50, 46], 51]);
    expect(resumed).toEqual([read[1]]);
  });

  test('is an error of the helper where even what comes is gone', async () => {
    const { script, read, request, failure } = await interrupted();
    script.say(gone(request, '00:20'));
    for (let round = 3; round <= 5; round++) {
      const [, again] = await script.hears('subscribe', round);
      script.say(gone(again, '00:20'));
    }
    expect(await failure).toMatchObject(withCode('gone'));
    expect(read).toHaveLength(1);
  });

  test.each([undefined, 'a cursor of a later version'])(
    'goes on with what comes if %s is held',
    async (oldest) => {
      const { script, read, request } = await interrupted();
      script.say(gone(request, oldest));
      const [, next, , asked] = await script.hears('subscribe', 3);
      expect(asked).toBeUndefined();
      script.say(started(next, 9));
      await until('the loss', () => read.length === 2);
      expect(read.map(cover)).toEqual([4, ['journal', 5, 9, 5]]);
    },
  );

  test('is told also by a helper that does not know what is asked', async () => {
    const { script, read, request } = await interrupted({ epoch: 'b' });
    script.say(started(request, 9), told(request, 10));
    await until('the event', () => read.length === 3);
    expect(read.map(cover)).toEqual([4, ['journal', 0, 9, 0], 10]);
  });

  test('is asked for anew if the connection ends meanwhile', async () => {
    const { script, read, request } = await interrupted();
    script.say(gone(request, '00:20'));
    await script.hears('subscribe', 3);
    script.leave();
    const [, again, , asked] = await script.hears('subscribe', 4);
    expect(asked).toEqual({ since: '00:4' });
    script.say(started(again, 4), told(again, 5));
    await until('the event', () => read.length === 2);
    expect(read.map(cover)).toEqual([4, 5]);
  });
});
