/*
 * A helper without a kernel: its socket, its bus, and batches that the test makes.
 */
import { join } from 'node:path';
import { fullGrant, ProcbusError } from '@procbus/protocol';
import { expect, onTestFinished } from 'vitest';
import { temporaryDirectory } from '../../../../test/support/procbus.ts';
import { defaultLimits } from '../../src/peers/quota.ts';
import { Server } from '../../src/peers/server.ts';
import type { Host } from '../../src/peers/session.ts';
import { claimSocket } from '../../src/peers/socket-path.ts';
import type { Proc } from '../../src/processes/process-table.ts';
import { connectionStats, EventLoop, helperStats } from '../../src/stats.ts';
import type { BroadcastOptions } from '../../src/bus/broadcast.ts';
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
  const claimed = await claimSocket({ path, mode: 0o600 });
  const bus = makeBus(proc, [], options);
  const { broadcast, table } = bus;
  const host: Host = {
    broadcast,
    software: 'procbusd/test',
    bootId: '2b7f4a0c-0000-4000-8000-000000000000',
    outboxLimit: () => undefined,
    grantTo: () => ({ ...fullGrant, stats: 'all', limits: defaultLimits }),
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
    expect(server.quotas.isEmpty).toBe(true);
  });
  return { ...bus, path, server, host };
}
