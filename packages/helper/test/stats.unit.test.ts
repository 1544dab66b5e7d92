import { pack, unpack } from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import type { ConnectionFigures } from '../src/peers/session.ts';
import { byUser, capabilitiesOf, connectionStats, EventLoop, helperStats, type Parts } from '../src/stats.ts';

/** No user: ids that high are of nobody. */
const nobody = 4_100_000_000;

const figures = (uid: number, fields: Partial<ConnectionFigures> = {}): ConnectionFigures => ({
  pid: 1,
  uid,
  software: 'test/1',
  subscriptions: 1,
  queuedBytes: 0,
  lag: 0,
  delivered: 0,
  lost: 0,
  ...fields,
});

const parts = (connections: readonly ConnectionFigures[], dropped = 0): Parts => ({
  connector: { receiveBuffer: 4096 },
  reader: { urgency: undefined },
  table: { size: { living: 2, ended: 1 } },
  broadcast: {
    epoch: 'abc',
    seq: 2 ** 33,
    received: new Map([['fork', 2 ** 40]]),
    dropped: 7,
    interest: { processes: new Set(['fork', 'exit']), threads: new Set(['exit']) },
    journal: { size: { events: 3, bytes: 900, limit: 2 ** 34 }, seconds: 1.5, oldest: 4 },
  },
  server: { connections, dropped },
  eventLoop: { takeDelays: () => ({ p50: 0.1, p99: 0.2, max: 3 }) },
});

/** What arrives at a client. */
const told = (of: Record<string, unknown>): Record<string, unknown> =>
  unpack(pack(of)) as Record<string, unknown>;

describe('the figures of a helper', () => {
  test('are what its parts know, and arrive as what they are', () => {
    const slow = figures(nobody, {
      pid: 5,
      queuedBytes: 2 ** 35,
      lag: 1.5,
      delivered: 2 ** 36,
      lost: 2 ** 37,
    });
    expect(told(helperStats(parts([slow], 2 ** 38)))).toEqual({
      uptime: expect.closeTo(process.uptime(), -1) as unknown,
      epoch: 'abc',
      seq: 2 ** 33,
      received: { fork: 2 ** 40 },
      lost: { kernel: 7, queue: 2 ** 38 },
      kernelFilter: { processes: ['fork', 'exit'], threads: ['exit'] },
      processes: { living: 2, ended: 1 },
      programReader: null,
      capabilities: expect.any(Array) as unknown,
      receiveBuffer: 4096,
      journal: { events: 3, bytes: 900, limit: 2 ** 34, seconds: 1.5, oldest: 'abc:4' },
      eventLoopDelay: { p50: 0.1, p99: 0.2, max: 3 },
      memory: { rss: expect.any(Number) as unknown, heapUsed: expect.any(Number) as unknown },
      cpu: { user: expect.any(Number) as unknown, system: expect.any(Number) as unknown },
      clients: [
        { uid: nobody, connections: 1, subscriptions: 1, queuedBytes: 2 ** 35, lag: 1.5, lost: 2 ** 37 },
      ],
      connections: [slow],
    });
  });

  test('hold integers, not floats, where clients count on them', () => {
    const { seq, lost } = helperStats(parts([], 2 ** 38)) as { seq: unknown; lost: { queue: unknown } };
    expect(seq).toBe(2n ** 33n);
    expect(lost.queue).toBe(2n ** 38n);
    expect(connectionStats(figures(0, { delivered: 2 ** 36 }))['delivered']).toBe(2n ** 36n);
  });

  test('are those of the connection alone, for itself', () => {
    expect(connectionStats(figures(7, { lag: 0.5, queuedBytes: 12, delivered: 3, lost: 2 }))).toEqual({
      uid: 7,
      subscriptions: 1,
      queuedBytes: 12,
      lag: 0.5,
      delivered: 3,
      lost: 2,
    });
  });

  test('fit into one message, however many connect and whatever they say of themselves', () => {
    const many = Array.from({ length: 5000 }, (_, index) =>
      figures(nobody + index, {
        pid: 2 ** 22,
        software: '\u{10ffff}'.repeat(30_000),
        queuedBytes: 2 ** 33 + index,
        lag: 0.123,
        delivered: 2 ** 40,
        lost: 2 ** 40,
      }),
    );
    const stats = helperStats(parts(many));
    expect(pack(stats).length).toBeLessThan(2 ** 20 - 4096);
    const { clients, connections } = told(stats) as Record<string, { uid: number }[]>;
    // Those are left out that have the least to say.
    expect(clients?.map(({ uid }) => uid)).toContain(nobody + 4999);
    expect(connections?.map(({ uid }) => uid)).toContain(nobody + 4999);
  });
});

describe('the capabilities', () => {
  const status = (capEff: string): string =>
    `Name:\tnode\nCapPrm:\tffffffffffffffff\nCapEff:\t${capEff}\nCapBnd:\t0\n`;

  test.each([
    ['000001ffffffffff', ['CAP_NET_ADMIN', 'CAP_SYS_PTRACE']],
    ['0000000000081000', ['CAP_NET_ADMIN', 'CAP_SYS_PTRACE']],
    ['0000000000001000', ['CAP_NET_ADMIN']],
    ['fffffffffff7efff', []],
    ['0000000000000000', []],
  ])('of %s are %j', (capEff, names) => {
    expect(capabilitiesOf(status(capEff))).toEqual(names);
  });

  test('are none where the kernel does not say', () => {
    expect(capabilitiesOf('Name:\tnode\n')).toEqual([]);
  });
});

describe('sums by user', () => {
  test('add up what connections have, and take the longest lag', () => {
    const sums = byUser([
      figures(nobody, { subscriptions: 2, queuedBytes: 10, lag: 0.5, lost: 1 }),
      figures(0, { subscriptions: 0 }),
      figures(nobody, { subscriptions: 3, queuedBytes: 5, lag: 2.5, lost: 4 }),
    ]);
    expect(sums).toEqual([
      { uid: 0, user: 'root', connections: 1, subscriptions: 0, queuedBytes: 0, lag: 0, lost: 0 },
      { uid: nobody, connections: 2, subscriptions: 5, queuedBytes: 15, lag: 2.5, lost: 5 },
    ]);
  });

  test('hold every connection once, whoever connects', () => {
    const count = fc.integer({ min: 0, max: 2 ** 40 });
    const connection = fc
      .record({
        uid: fc.constantFrom(0, nobody, nobody + 1, nobody + 2),
        subscriptions: fc.integer({ min: 0, max: 64 }),
        queuedBytes: count,
        lag: fc.double({ min: 0, max: 100, noNaN: true }),
        lost: count,
      })
      .map(({ uid, ...fields }) => figures(uid, fields));
    fc.assert(
      fc.property(fc.array(connection), (connections) => {
        const sums = byUser(connections);
        const total = (of: readonly Record<string, unknown>[], field: string): number =>
          of.reduce((sum, entry) => sum + Number(entry[field]), 0);
        const uids = sums.map(({ uid }) => uid);
        expect(uids).toEqual([...new Set(connections.map(({ uid }) => uid))].toSorted((a, b) => a - b));
        expect(total(sums as never, 'connections')).toBe(connections.length);
        for (const field of ['subscriptions', 'queuedBytes', 'lost']) {
          expect(total(sums as never, field)).toBe(total(connections as never, field));
        }
        for (const { uid, lag } of sums) {
          expect(lag).toBe(
            Math.max(...connections.filter((each) => each.uid === uid).map((each) => each.lag)),
          );
        }
      }),
    );
  });
});

describe('the event loop', () => {
  test('is known to have been late, until somebody has asked', async () => {
    const eventLoop = new EventLoop();
    let delays = eventLoop.takeDelays();
    let rounds = 0;
    await until('it to be found late', () => {
      const end = performance.now() + 150;
      while (performance.now() < end);
      // A delay is the time between two looks.
      if (++rounds % 5 !== 0) return false;
      delays = eventLoop.takeDelays();
      return delays.max > 30;
    });
    expect(delays.max).toBeGreaterThanOrEqual(delays.p99);
    expect(delays.p99).toBeGreaterThanOrEqual(delays.p50);
    expect(eventLoop.takeDelays()).toEqual({ p50: 0, p99: 0, max: 0 });
  });
});
