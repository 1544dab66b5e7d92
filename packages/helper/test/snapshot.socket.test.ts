/*
 * Snapshots over a real socket: in parts, in order, and at the pace of those who asked.
 */
import {
  clientMessage,
  maxHelperPayload,
  nanoseconds,
  packFrame,
  ProcbusError,
  type WireProcess,
} from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { eventOf, execs, exitOf, forkOf } from './support/bus.ts';
import { RawClient, type Message } from './support/raw-client.ts';
import { serve, serveInReach, subscriptionsOf, type Serving } from './support/serving.ts';

const { goodbye, ping, snapshot, subscribe } = clientMessage;
const text: unknown = expect.any(String);
const int64: unknown = expect.any(BigInt);
const position = (seq: number): object => ({
  seq,
  clockOffset: int64,
  kernelTime: expect.anything() as unknown,
});

/** A machine whose processes have arguments of 4 KiB: a snapshot of it fills any socket. */
async function serveCrowd(count = 4000): Promise<Serving> {
  const serving = await serve({
    proc: {
      imageOf: ({ pid }) => ({ comm: 'x', args: [String(pid), 'é'.repeat(2000)], detail: 'complete' }),
    },
  });
  serving.publish(execs(count));
  return serving;
}

/** The processes of all parts of a snapshot. */
function processesIn(client: RawClient, request: number): WireProcess[] {
  return client.received.flatMap((message) =>
    message[0] === 'processes' && message[1] === request ? (message[2] as WireProcess[]) : [],
  );
}

const pidsIn = (client: RawClient, request: number): number[] =>
  processesIn(client, request).map(({ pid }) => pid);

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

/** Messages by type and request, repetitions left out. */
function story(messages: readonly Message[]): string[] {
  return messages
    .map(([type, request]) => `${type} ${String(request)}`)
    .filter((item, index, all) => item !== all[index - 1]);
}

describe('a snapshot', () => {
  test('comes in parts, in the order of the table, and then the position at which it is true', async () => {
    const { path, publish } = await serve();
    publish(execs(600), 10);
    const client = await RawClient.greet(path);
    expect(await client.request(snapshot(7, {}, false))).toEqual(position(610));
    expect(story(client.received)).toEqual(['hello [object Object]', 'processes 7', 'result 7']);
    const parts = client.received.filter(([type]) => type === 'processes');
    const sizes = parts.map(([, , processes]) => (processes as unknown[]).length);
    expect(sizes.length).toBeGreaterThan(2);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(256);
    expect(Math.min(...sizes)).toBeGreaterThan(0);
    expect(pidsIn(client, 7)).toEqual(range(600));
  });

  test('of nobody has no parts', async () => {
    const { path } = await serve();
    const client = await RawClient.greet(path);
    expect(await client.request(snapshot(1, {}, true))).toEqual(position(0));
    expect(client.received).toHaveLength(2);
  });

  test('tells of those that its filter lets through what the specification lists', async () => {
    const { path, publish } = await serve({
      proc: {
        imageOf: () => ({ comm: 'cat', exe: '/bin/cat', args: ['cat', '-'], cwd: '/', detail: 'complete' }),
      },
    });
    const time = 2n ** 60n;
    publish([forkOf(5, 1, time), forkOf(6, 5, time), eventOf('exec', 6), exitOf(6, time + 9n, 256)]);
    const client = await RawClient.greet(path);
    await client.request(snapshot(1, { comm: ['cat'], include: ['cwd'] }, false));
    expect(processesIn(client, 1)).toEqual([]);
    await client.request(snapshot(2, { comm: ['cat'], include: ['cwd', 'ancestors'] }, true));
    const ids = { uid: -1, euid: -1, gid: -1, egid: -1, sid: 0, tty: 0 };
    const program = { comm: 'cat', exe: '/bin/cat', args: ['cat', '-'], cwd: '/', detail: 'complete' };
    const life = { startTime: time, endTime: time + 9n, status: 256 };
    const who = {
      id: `6.${time.toString(36)}`,
      pid: 6,
      ppid: 5,
      ancestors: [{ pid: 5, comm: '' }],
    };
    expect(processesIn(client, 2).map(exactTimes)).toEqual([{ ...who, ...program, ...ids, ...life }]);
  });

  test.each<[string, unknown[], unknown[]]>([
    ['an unknown field', snapshot(1, { nothing: 1 }, false), ['bad-filter', 'unknown field "nothing"', text]],
    [
      'an unknown process',
      snapshot(1, { not: { subtree: [99] } }, false),
      ['bad-filter', 'not.subtree: there is no process 99', text],
    ],
    [
      'an unknown user',
      snapshot(1, { users: ['nobody at all'] }, false),
      ['bad-filter', 'users: there is no user "nobody at all"'],
    ],
    ['no word on the ended', ['snapshot', 1, {}], ['bad-message', text]],
  ])('is refused, and the connection goes on, where it asks for %s', async (_what, request, error) => {
    const { path, publish } = await serve();
    publish(execs(3));
    const client = await RawClient.greet(path);
    client.send(request, ping(2));
    await client.next('result');
    expect(client.received.slice(1)).toEqual([
      ['error', 1, ...error],
      ['result', 2, { seq: 3, clockOffset: int64 }],
    ]);
  });

  test('too large for the socket arrives whole, and what was asked behind it is answered behind it', async () => {
    const { path } = await serveCrowd();
    const client = await RawClient.greet(path);
    client.send(snapshot(1, {}, false), ping(2), ['dance', 3], snapshot(4, {}, false), ping(5));
    await client.until('the last answer', () => client.received.at(-1)?.[1] === 5);
    expect(story(client.received.slice(1))).toEqual([
      'processes 1',
      'result 1',
      'result 2',
      'error 3',
      'processes 4',
      'result 4',
      'result 5',
    ]);
    for (const request of [1, 4]) expect(pidsIn(client, request)).toEqual(range(4000));
  });

  test('is as of when it was asked for, whatever happens while it is read', async () => {
    const serving = await serveCrowd();
    const client = await RawClient.greet(serving.path);
    await client.request(subscribe(1, { events: ['exit', 'sid'] }));
    client.socket.pause();
    client.send(snapshot(2, {}, false));
    const beside = await RawClient.greet(serving.path);
    await until('the request to be sent', () => client.socket.writableLength === 0);
    await beside.request(ping(1));
    serving.publish([...range(4000).map((pid) => exitOf(pid, 2n ** 61n)), eventOf('sid', 5000)]);
    client.socket.resume();
    expect(await client.request(ping(3))).toMatchObject({ seq: 8001 });
    expect(await client.request(snapshot(4, {}, false))).toEqual(position(8001));

    expect(client.received.find(([type, id]) => type === 'result' && id === 2)?.[2]).toEqual(position(4000));
    expect(pidsIn(client, 2)).toEqual(range(4000));
    await client.hears(1, 8001);
    expect(client.told(1).map(([, seq]) => seq)).toEqual(range(4001).map((nth) => 4000 + nth));
    expect(pidsIn(client, 4)).toEqual([5000]);
  });
});

describe('a client that does not read its snapshot', () => {
  test('holds up nobody but itself, and costs no more memory than a part', async () => {
    const serving = await serveCrowd();
    const { path, accepted } = await serveInReach(serving);
    const client = await RawClient.greet(path);
    const { socket } = await accepted;
    client.socket.pause();
    const requests = range(100);
    client.send(...requests.map((request) => snapshot(request, request === 1 ? {} : { pids: [1] }, false)));
    await until('the socket to be full', () => socket.writableNeedDrain);

    const beside = await RawClient.greet(serving.path);
    await beside.request(snapshot(1, {}, false));
    expect(pidsIn(beside, 1)).toEqual(range(4000));
    expect(socket.writableLength).toBeLessThan(2 * maxHelperPayload);
    expect(socket.isPaused()).toBe(true);

    client.socket.resume();
    await client.until('all answers', () => client.received.at(-1)?.slice(0, 2).join(' ') === 'result 100');
    expect(pidsIn(client, 1)).toEqual(range(4000));
    const answered = client.received.filter(([type]) => type === 'result').map(([, request]) => request);
    expect(answered).toEqual(requests);
  });

  test('and disappears leaves nothing behind', async () => {
    const serving = await serveCrowd();
    const { path, server, broadcast, table, publish } = serving;
    const root = table.get(1)?.id ?? '';
    publish(range(100).map((nth) => forkOf(10_000 + nth, 1)));
    const client = await RawClient.greet(path);
    await client.request(subscribe(1, { events: ['ptrace'], threads: true, subtree: [1] }));
    client.socket.pause();
    client.send(snapshot(2, {}, false), snapshot(3, { subtree: [1] }, false), ping(4));
    await until('it to be sent', () => client.socket.writableLength === 0);
    const beside = await RawClient.greet(path);
    await beside.request(ping(1));
    expect(table.subtrees.isWatched(root)).toBe(true);

    client.socket.destroy();
    await until('the server to forget the client', () => server.connections.length === 1);
    expect(subscriptionsOf(server)).toBe(0);
    expect(broadcast.interest.threads.has('ptrace')).toBe(false);
    expect(table.subtrees.isWatched(root)).toBe(false);
    expect([...table.all()].filter(({ subtrees }) => subtrees.size > 0)).toEqual([]);
    await beside.request(snapshot(2, { subtree: [1] }, false));
    expect(pidsIn(beside, 2)).toHaveLength(101);
  });

  test('is not waited for by a server that closes', async () => {
    const { path, server } = await serveCrowd();
    const client = await RawClient.greet(path);
    client.socket.pause();
    client.send(snapshot(1, {}, false), ping(2));
    const beside = await RawClient.greet(path);
    await beside.request(ping(1));
    await server.close(new ProcbusError('stopping', 'procbusd is stopping'));
    expect(server.connections.length).toBe(0);
    expect(beside.received.at(-1)).toEqual(['goodbye', 'stopping', 'procbusd is stopping']);
  }, 10_000);
});

describe('a client that leaves behind a snapshot', () => {
  test('gets it, and its other answers, before the end', async () => {
    const { path } = await serveCrowd();
    const client = await RawClient.greet(path);
    client.send(snapshot(1, {}, false), ping(2), goodbye(), ping(3));
    await client.closed;
    expect(pidsIn(client, 1)).toEqual(range(4000));
    expect(story(client.received.slice(1))).toEqual(['processes 1', 'result 1', 'result 2']);
  });

  test('gets all of it where it has shut down its own side', async () => {
    const { path } = await serveCrowd();
    const client = await RawClient.greet(path);
    client.socket.end(Buffer.concat([packFrame(snapshot(1, {}, false)), packFrame(ping(2))]));
    await client.closed;
    expect(pidsIn(client, 1)).toEqual(range(4000));
    expect(story(client.received.slice(1))).toEqual(['processes 1', 'result 1', 'result 2']);
  });
});

/** Times that fit a number come as one. */
function exactTimes(process: WireProcess): object {
  const { startTime, endTime } = process;
  return { ...process, startTime: nanoseconds(startTime), endTime: nanoseconds(endTime) };
}
