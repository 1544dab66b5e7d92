/*
 * A helper without a kernel: its socket, its bus, and batches that the test makes.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { fullGrant, ProcbusError, type Grant } from '@procbus/protocol';
import { expect, onTestFinished } from 'vitest';
import { until } from '../../../../test/support/condition.ts';
import { temporaryDirectory } from '../../../../test/support/procbus.ts';
import type { BroadcastOptions } from '../../src/bus/broadcast.ts';
import type { Peer } from '../../src/peers/credentials.ts';
import type { Granted } from '../../src/peers/policy.ts';
import { defaultLimits, type Limits } from '../../src/peers/quota.ts';
import { Server } from '../../src/peers/server.ts';
import { Session, type Host } from '../../src/peers/session.ts';
import { claimSocket } from '../../src/peers/socket-path.ts';
import type { Proc } from '../../src/processes/process-table.ts';
import { connectionStats, EventLoop, helperStats } from '../../src/stats.ts';
import { makeBus, type Bus } from './bus.ts';

export { eventOf, execs } from './bus.ts';

/** The one figure of the connector that `stats` tells. */
export const receiveBuffer: number = 4096;

export interface Serving extends Bus {
  readonly path: string;
  readonly server: Server;
  /** What its sessions know of it, for a session that the test makes itself. */
  readonly host: Host;
}

const eventLoop = new EventLoop();

/** A test publishes as much in a moment as a machine does in a minute: the work that makes is nobody's to pay for. */
const amply: Partial<Limits> = { workPerSecond: 1e12 };

/** Everything, but for what a test wants otherwise. */
export function granted(limits: Partial<Limits> = {}, grant: Partial<Grant> = {}): Granted {
  return { ...fullGrant, stats: 'all', ...grant, limits: { ...defaultLimits, ...amply, ...limits } };
}

/** What a test may have otherwise. */
export interface ServeOptions {
  readonly proc?: Partial<Proc>;
  /** What sessions know of the helper. */
  readonly host?: Partial<Host>;
  readonly bus?: BroadcastOptions;
}

/**
 * Serves at a socket of its own until the test is over, and sees to it that nothing is charged to anybody then.
 * Whoever connects may see all.
 */
export async function serve({ proc, host: changed, bus: options }: ServeOptions = {}): Promise<Serving> {
  const path = join(temporaryDirectory(), 'procbus.sock');
  const claimed = await claimSocket({ path, mode: 0o666 });
  const bus = makeBus(proc, [], options);
  const { broadcast, table } = bus;
  const host: Host = {
    broadcast,
    software: 'procbusd/test',
    bootId: '2b7f4a0c-0000-4000-8000-000000000000',
    outboxLimit: () => undefined,
    grantTo: () => granted(),
    refusal: () => new ProcbusError('not-granted', 'nobody is granted anything'),
    stats: (session) => ({
      connection: connectionStats(session.figures),
      helper: helperStats({
        connector: { receiveBuffer },
        reader: { urgency: 'none' },
        table,
        broadcast,
        server,
        eventLoop,
      }),
    }),
    ...changed,
  };
  const server = new Server(host);
  server.listen(claimed.fd);
  onTestFinished(async () => {
    claimed.release();
    broadcast.close();
    await server.close(new ProcbusError('stopping', 'the test is over'));
    expect([...server.quotas.usages()]).toEqual([]);
  });
  return { ...bus, path, server, host };
}

/** Subscriptions of all connections. */
export function subscriptionsOf({ connections }: Server): number {
  return connections.reduce((sum, { subscriptions }) => sum + subscriptions, 0);
}

/** The helper's side of a connection. */
export interface Accepted {
  readonly socket: Socket;
  readonly session: Session;
}

/** Who this process is. */
const self: Peer = {
  pid: process.pid,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  groups: process.getgroups?.() ?? [],
};

/** Serves at another socket, too, where the test can look at the helper's side of each connection. */
export async function serveInReach({
  path,
  host,
  server,
}: Serving): Promise<{ path: string; accepted: Promise<Accepted> }> {
  const pathInReach = `${path}.in-reach`;
  const sockets = new Set<Socket>();
  const listener = createServer();
  const accepted = new Promise<Accepted>((resolve) => {
    listener.on('connection', (socket) => {
      const share = server.quotas.open(self.uid, host.grantTo(self)?.limits ?? defaultLimits);
      if (share === undefined) throw new Error('too many connections');
      const session = new Session(socket, self, share, host);
      sockets.add(socket);
      socket.once('close', () => {
        sockets.delete(socket);
        share.close();
      });
      resolve({ socket, session });
    });
  });
  listener.listen(pathInReach);
  onTestFinished(async () => {
    listener.close();
    for (const socket of sockets) socket.destroy();
    await until('all to be closed', () => sockets.size === 0);
  });
  await once(listener, 'listening');
  return { path: pathInReach, accepted };
}
