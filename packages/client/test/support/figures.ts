/*
 * Figures of a helper that has seen something.
 */
import type { ConnectionStats, HelperFigures, HelperStats } from '../../src/stats.ts';

export const epoch = '0f3a9c77d1e2b465';

/** Of a connection that has done nothing but ask. */
export const connection: ConnectionStats = {
  uid: 1000,
  subscriptions: 0,
  queuedBytes: 0,
  lag: 0,
  delivered: 0,
  lost: 0,
};

/** Of a helper that has run for three hours, and has one slow client. */
export const helper: HelperFigures = {
  uptime: 11_100,
  epoch,
  seq: 4_711_002,
  received: { exit: 1_234_560, fork: 1_234_567, exec: 823_112, sid: 2204, ptrace: 3 },
  lost: { kernel: 0, queue: 31 },
  kernelFilter: { processes: ['fork', 'exec', 'exit', 'sid', 'comm'], threads: ['exit'] },
  processes: { living: 1412, ended: 31 },
  programReader: 'real-time',
  capabilities: ['CAP_NET_ADMIN', 'CAP_SYS_PTRACE'],
  receiveBuffer: 128 * 2 ** 20,
  journal: {
    events: 26_112,
    bytes: 13 * 2 ** 20,
    limit: 16 * 2 ** 20,
    seconds: 303,
    oldest: `${epoch}:4669779`,
  },
  eventLoopDelay: { p50: 0.27, p99: 1.3, max: 5.6 },
  memory: { rss: 88_291_328, heapUsed: 22_020_096 },
  cpu: { user: 12.25, system: 4.5 },
  clients: [
    { uid: 0, user: 'root', connections: 1, subscriptions: 2, queuedBytes: 0, lag: 0, lost: 0 },
    {
      uid: 1000,
      user: 'anna',
      connections: 2,
      subscriptions: 1,
      queuedBytes: 3_912_321,
      lag: 12.4,
      lost: 31,
    },
    { uid: 4_100_000_000, connections: 1, subscriptions: 1, queuedBytes: 512, lag: 0.002, lost: 0 },
  ],
  connections: [
    { ...connection, pid: 9, uid: 0, software: 'audit/2.1', subscriptions: 2, delivered: 3_292_239 },
    { ...connection, pid: 4711, software: 'procbus/0.1.0' },
    {
      pid: 2_200_123,
      uid: 1000,
      software: 'slow/1',
      subscriptions: 1,
      queuedBytes: 3_912_321,
      lag: 12.4,
      delivered: 12_331,
      lost: 31,
    },
    {
      pid: 812,
      uid: 4_100_000_000,
      software: 'py/1',
      subscriptions: 1,
      queuedBytes: 512,
      lag: 0.002,
      delivered: 3,
      lost: 0,
    },
  ],
};

export const stats: HelperStats = { connection, helper };

/** The same with other figures of the helper. */
export function statsWith(figures: Partial<HelperFigures>): HelperStats {
  return { connection, helper: { ...helper, ...figures } };
}
