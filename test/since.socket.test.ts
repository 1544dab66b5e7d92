/*
 * Watches that begin in the past: behind a cursor, or at a time.
 */
import { helperMessage } from '@procbus/protocol';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Bus } from '../packages/client/src/bus.ts';
import { connect } from '../packages/client/src/connect.ts';
import type { WatchOptions } from '../packages/client/src/watch.ts';
import { helperHello } from './support/impostor.ts';
import { told } from './support/messages.ts';
import { take } from './support/reading.ts';
import { Script } from './support/script.ts';

async function open(socket: string): Promise<Bus> {
  const bus = await connect({ socket });
  onTestFinished(async () => bus.close());
  return bus;
}

const gone = (request: number, oldest: string): unknown[] =>
  helperMessage.error(request, { code: 'gone', message: 'no longer held', oldest });

describe('a watch of the past', () => {
  test('begins behind a cursor', async () => {
    const { script, socket } = await Script.start();
    const bus = await open(socket);
    const watch = bus.watch({ since: '00:30', comm: ['a'] });
    expect(watch.cursor).toBe('00:30');
    expect(await watch.ready).toEqual({ seq: 30, clockOffset: 0n });
    expect(await script.hears('subscribe')).toEqual(['subscribe', 1, { comm: ['a'] }, { since: '00:30' }]);
  });

  test('begins at a time, by the clock of the helper', async () => {
    const { script, socket } = await Script.start();
    const clockOffset = 1_763_824_642_123_456_789n;
    script.hello = { ...helperHello, clockOffset };
    const bus = await open(socket);
    const watch = bus.watch({ since: new Date('2025-11-22T15:56:46.812Z') });
    const [, , , options] = await script.hears('subscribe');
    const { sinceTime } = options as { sinceTime: number };
    expect(BigInt(sinceTime)).toBe(BigInt(Date.parse('2025-11-22T15:56:46.812Z')) * 1_000_000n - clockOffset);
    await watch.ready;
    expect(watch.cursor).toBe('00:0');
  });

  test('throws what is gone, with the oldest cursor that is held', async () => {
    const { script, socket } = await Script.start('subscribe');
    const bus = await open(socket);
    const watch = bus.watch({ since: '00:30' });
    await script.hears('subscribe');
    script.say(gone(1, '00:40'));
    const error = { code: 'gone', oldest: '00:40', message: 'no longer held' };
    await expect(watch.next()).rejects.toMatchObject(error);
    await expect(watch.ready).rejects.toMatchObject(error);
    await bus.ping();
    expect(script.heard('subscribe')).toHaveLength(1);
  });

  test('tells what is gone as lost where that is wanted', async () => {
    const { script, socket } = await Script.start('subscribe');
    const bus = await open(socket);
    const resumed: unknown[] = [];
    const watch = bus.watch({ since: 'a:30', onGone: 'lost', onResume: (lost) => void resumed.push(lost) });
    await script.hears('subscribe');
    script.say(gone(1, '00:40'));
    await script.hears('subscribe', 2);
    script.say(helperMessage.result(2, { seq: 40, clockOffset: 0n }), told(2, 41));
    await watch.ready;
    expect(watch.cursor).toBe('a:30');
    expect(await take(watch, 2)).toMatchObject([
      { where: 'journal', from: 0, to: 40, count: 0 },
      { seq: 41 },
    ]);
    expect(resumed).toEqual([]); // It has just begun.
  });

  test.each<[WatchOptions, string]>([
    [{ since: 'yesterday' }, 'since: "yesterday" is no cursor'],
    [{ since: '' }, 'since: "" is no cursor'],
    [{ since: new Date(Number.NaN) }, 'since: an invalid date'],
    [{ maxDelay: -1 }, 'maxDelay: -1 is not'],
    [{ maxDelay: 10_001 }, 'maxDelay: 10001 is not'],
    [{ onLag: 'sleep' as 'drop' }, 'onLag: '],
    [{ onGone: 'cry' as 'lost' }, 'onGone: '],
    [{ bufferSize: 0 }, 'bufferSize: 0 is not'],
  ])('and what is wrong with %j is refused at once', async (options, message) => {
    const { script, socket } = await Script.start();
    const bus = await open(socket);
    expect(() => bus.watch(options)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(message) as unknown }),
    );
    await bus.ping();
    expect(script.heard('subscribe')).toEqual([]);
  });
});
