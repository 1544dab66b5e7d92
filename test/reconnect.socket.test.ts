/*
 * A bus outlives its connections: how it connects again, and what becomes of requests meanwhile.
 */
import { getEventListeners } from 'node:events';
import { helperMessage, packFrame, ProcbusError, type ErrorCode } from '@procbus/protocol';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Bus } from '../packages/client/src/bus.ts';
import { connect, type ConnectOptions } from '../packages/client/src/connect.ts';
import type { ConnectionChange } from '../packages/client/src/link.ts';
import { until } from './support/condition.ts';
import { helperHello, listenAs, politely } from './support/impostor.ts';
import { told } from './support/messages.ts';
import { drain, take } from './support/reading.ts';
import { Script } from './support/script.ts';

const withCode = (code: string): object => ({ name: 'ProcbusError', code });
const reason = new Error('enough');

/** Connects, and closes the bus at the end of the test. */
async function open(options: ConnectOptions): Promise<{ bus: Bus; changes: ConnectionChange[] }> {
  const changes: ConnectionChange[] = [];
  const bus = await connect({ onConnection: (change) => void changes.push(change), ...options });
  onTestFinished(async () => bus.close());
  return { bus, changes };
}

const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
const pipes = (): number => process.getActiveResourcesInfo().filter((name) => name === 'PipeWrap').length;

describe('a bus whose connection ends', () => {
  test.each<[string, (script: Script) => void, string]>([
    ['without a word', (script) => script.leave(), 'disconnected'],
    ['as the helper stops', (script) => script.leave({ code: 'stopping', message: 'bye' }), 'stopping'],
    ['as somebody lagged', (script) => script.leave({ code: 'lagged', message: 'slow' }), 'lagged'],
    ['for a reason of later versions', (script) => script.leave({ code: 'tired', message: 'x' }), 'internal'],
  ])('connects again: %s', async (_how, leave, code) => {
    const { script, socket } = await Script.start();
    const { bus, changes } = await open({ socket });
    script.hello = { ...helperHello, epoch: 'b', seq: 7 };
    leave(script);
    await until('the next connection', () => changes.some(({ connected }) => connected));
    expect(changes).toMatchObject([
      { connected: false, error: withCode(code), attempt: 1, wait: expect.any(Number) as unknown },
      { connected: true },
    ]);
    expect(bus.hello).toMatchObject({ epoch: 'b', seq: 7 });
    await bus.ping();
    expect(script.connections).toBe(2);
  });

  test('tries again and again, and waits longer each time, until there is a helper', async () => {
    const { script, socket } = await Script.start();
    const { bus, changes } = await open({ socket });
    await script.stop();
    const attempts = await until('four attempts', () => changes.length >= 4 && changes.slice());
    await script.listen();
    await bus.ping();
    for (const [index, change] of attempts.entries()) {
      if (change.connected) throw new Error('there is nobody to connect to');
      expect(change.attempt).toBe(index + 1);
      expect(change.error.code).toBe(index === 0 ? 'disconnected' : 'no-helper');
      expect(change.wait).toBeGreaterThanOrEqual(100 * 2 ** index);
      expect(change.wait).toBeLessThanOrEqual(200 * 2 ** index);
    }
    expect(changes.at(-1)).toEqual({ connected: true });
  });

  test('waits longer each time too if the next connection ends as soon as it is made', async () => {
    const { script, socket } = await Script.start();
    const { changes } = await open({ socket });
    for (let round = 0; round < 3; round++) {
      script.leave();
      await until('the next connection', () => changes.filter(({ connected }) => connected).length > round);
    }
    const waits = changes.flatMap((change) => (change.connected ? [] : [change.wait]));
    expect(waits).toHaveLength(3);
    expect(waits[2]).toBeGreaterThanOrEqual(400);
  });

  test.each<ErrorCode>(['quota', 'stopping', 'internal', 'no-helper'])(
    'tries again if it is refused with %s',
    async (code) => {
      const { script, socket } = await Script.start();
      const { bus, changes } = await open({ socket });
      script.refusal = { code, message: 'not now' };
      script.leave();
      await until('the refusal', () => changes.length === 2);
      expect(changes[1]).toMatchObject({ connected: false, attempt: 2, error: { code, message: 'not now' } });
      script.refusal = undefined;
      await bus.ping();
    },
  );

  test.each<ErrorCode>(['not-granted', 'not-permitted', 'version-mismatch', 'bad-message'])(
    'ends if it is refused with %s, with its watches and all who wait',
    async (code) => {
      const { script, socket } = await Script.start();
      const { bus } = await open({ socket });
      const watch = bus.watch();
      await watch.ready;
      script.refusal = { code, message: 'never', remedy: 'Ask.' };
      script.leave();
      await until('the end of the connection', () => script.clients === 0);
      const asked = bus.ping().catch((error: unknown) => error);
      await expect(drain(watch)).rejects.toMatchObject({ code, message: 'never', remedy: 'Ask.' });
      expect(await asked).toMatchObject(withCode(code));
      await bus.closed;
      await expect(bus.list()).rejects.toMatchObject(withCode(code));
      await expect(bus.watch().ready).rejects.toMatchObject(withCode(code));
      expect(script.connections).toBe(2);
    },
  );

  test('ends if the helper takes its grant away', async () => {
    const { script, socket } = await Script.start();
    const { bus } = await open({ socket });
    const watch = bus.watch();
    await watch.ready;
    script.leave({ code: 'not-granted', message: 'no more' });
    await expect(drain(watch)).rejects.toMatchObject(withCode('not-granted'));
    await bus.closed;
    expect(script.connections).toBe(1);
  });

  test('ends if something else than a helper comes instead', async () => {
    let connections = 0;
    const socket = await listenAs((peer) => {
      if (++connections > 1) peer.write('HTTP/1.1 400 Bad Request\r\n\r\n');
      else peer.once('data', () => peer.end(helloFrame()));
    });
    const { bus } = await open({ socket });
    await expect(bus.watch().next()).rejects.toMatchObject(withCode('not-a-helper'));
    await bus.closed;
  });

  test('connects no more where it was told not to, and says why it has ended', async () => {
    const { script, socket } = await Script.start();
    const { bus, changes } = await open({ socket, reconnect: false });
    const watch = bus.watch();
    await watch.ready;
    script.say(told(1, 5));
    script.leave({ code: 'stopping', message: 'bye' });
    expect(await watch.next()).toMatchObject({ value: { seq: 5 } });
    await expect(watch.next()).rejects.toMatchObject(withCode('stopping'));
    await bus.closed;
    await expect(bus.ping()).rejects.toMatchObject(withCode('stopping'));
    expect(changes).toEqual([]);
    expect(script.connections).toBe(1);
  });

  test('goes on also if what is told of it throws', async () => {
    const { script, socket } = await Script.start();
    const thrown: unknown[] = [];
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => thrown.push(error));
    onTestFinished(() => {
      process.removeAllListeners('uncaughtException');
      for (const listener of listeners) process.on('uncaughtException', listener);
    });
    const { bus } = await open({
      socket,
      onConnection: () => {
        throw reason;
      },
    });
    script.leave();
    await until('the end of the connection', () => script.clients === 0);
    await bus.ping();
    expect(thrown).toEqual([reason, reason]);
  });
});

describe('a request', () => {
  test('that is on its way when the connection ends rejects with disconnected, and says why', async () => {
    const { script, socket } = await Script.start('ping', 'snapshot');
    const { bus } = await open({ socket });
    const outcomes = Promise.allSettled([bus.ping(), bus.list(), bus.listAndWatch()]);
    await script.hears('ping');
    await script.hears('snapshot', 2);
    script.leave({ code: 'stopping', message: 'procbusd is stopping' });
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({
        reason: { code: 'disconnected', message: 'procbusd is stopping', cause: withCode('stopping') },
      });
    }
  });

  test('that is made while there is no connection waits for the next one', async () => {
    const { script, socket } = await Script.start();
    const { bus } = await open({ socket });
    await script.stop();
    await until('the end of the connection', () => script.clients === 0);
    const asked = Promise.all([bus.ping(), bus.stats(), bus.ping()]);
    await script.listen();
    expect(await asked).toHaveLength(3);
    expect(script.connections).toBe(2);
  });

  test('that is made behind a goodbye waits for the next connection', async () => {
    const { script, socket } = await Script.start();
    const { bus } = await open({ socket });
    const watch = bus.watch();
    await watch.ready;
    script.say(told(1, 5), helperMessage.goodbye(new ProcbusError('stopping', 'bye')));
    await watch.next(); // What came in one piece with the event has been read by now, too.
    const asked = bus.ping();
    script.leave();
    await asked;
    expect(script.connections).toBe(2);
  });

  test('waits no longer than its signal', async () => {
    const { script, socket } = await Script.start();
    const { bus } = await open({ socket });
    await script.stop();
    await until('the end of the connection', () => script.clients === 0);
    const controller = new AbortController();
    const { signal } = controller;
    const asked = [bus.ping({ signal }), bus.list({}, { signal }), bus.listAndWatch({ signal })];
    const outcomes = Promise.allSettled(asked);
    controller.abort(reason);
    for (const outcome of await outcomes) expect(outcome).toEqual({ status: 'rejected', reason });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    await script.listen();
    await bus.ping();
    expect(script.asked.map(([type]) => type)).toEqual(['hello', 'hello', 'ping']);
  });

  test('leaves nothing on its signal', async () => {
    const { script, socket } = await Script.start();
    const { bus } = await open({ socket });
    const { signal } = new AbortController();
    await bus.ping({ signal });
    script.leave();
    await until('the end of the connection', () => script.clients === 0);
    await bus.ping({ signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});

describe('a bus that is closed', () => {
  test('while there is no helper ends at once, with all that waits', async () => {
    const { script, socket } = await Script.start();
    const { bus, changes } = await open({ socket });
    const watch = bus.watch();
    await watch.ready;
    await script.stop();
    await until('long waits', () => changes.length >= 3);
    const [asked, later] = [bus.ping(), bus.watch()];
    const before = timers();
    const outcomes = Promise.allSettled([asked, later.ready, watch.next(), later.next()]);
    const begin = performance.now();
    await bus.close();
    expect(performance.now() - begin).toBeLessThan(300); // The next attempt was due later.
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: withCode('disconnected') });
    expect(timers()).toBe(before - 1);
    await bus.closed;
    await expect(bus.ping()).rejects.toMatchObject(withCode('disconnected'));
  });

  test('while the next helper is silent ends at once', async () => {
    let connections = 0;
    const socket = await listenAs((peer) => {
      if (++connections === 1) peer.once('data', () => peer.end(helloFrame()));
    });
    const { bus } = await open({ socket });
    await until('the next connection', () => connections === 2);
    const before = pipes();
    const begin = performance.now();
    await bus.close();
    expect(performance.now() - begin).toBeLessThan(5000); // It would have been given 10 s to say hello.
    await until('its socket to be closed', () => pipes() < before);
  });

  test('while its connection ends does not connect again', async () => {
    const { script, socket } = await Script.start();
    const { bus } = await open({ socket });
    script.leave();
    await bus.close();
    expect(script.connections).toBe(1);
  });

  test('from within what is told of its connection ends, too', async () => {
    const { script, socket } = await Script.start();
    let closed: Promise<void> | undefined;
    const { bus } = await open({
      socket,
      onConnection: ({ connected }) => {
        if (connected) closed = bus.close();
      },
    });
    const watch = bus.watch();
    await watch.ready;
    script.leave();
    await expect(drain(watch)).rejects.toMatchObject(withCode('disconnected'));
    await closed;
    await until('the end of the connection', () => script.clients === 0);
  });

  test('at any moment leaves no socket and no timer behind', async () => {
    const { script, socket } = await Script.start();
    const [timersBefore, pipesBefore] = [timers(), pipes()];
    for (let round = 0; round < 40; round++) {
      const bus = await connect({ socket });
      const watches = [bus.watch(), bus.watch()];
      void bus.ping().catch(() => undefined);
      const moments = Promise.all(watches.map(async (watch) => take(watch, 1).catch(() => undefined)));
      script.leave();
      // Up to 300 ms: before, while and after it connects again.
      const end = performance.now() + 7.5 * round;
      await until('the moment', () => performance.now() >= end);
      await bus.close();
      await moments;
    }
    await until('all to be closed', () => pipes() <= pipesBefore && timers() <= timersBefore);
    expect(script.clients).toBe(0);
  });
});

/** A hello, as it travels. */
function helloFrame(): Buffer {
  const [hello = []] = politely('hello', 0);
  return packFrame(hello);
}
