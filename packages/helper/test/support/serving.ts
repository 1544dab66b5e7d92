/*
 * A helper without a kernel: its socket, its bus, and batches that the test makes.
 */
import { join } from 'node:path';
import { ProcbusError } from '@procbus/protocol';
import { onTestFinished } from 'vitest';
import { temporaryDirectory } from '../../../../test/support/procbus.ts';
import { Server } from '../../src/peers/server.ts';
import type { Host } from '../../src/peers/session.ts';
import { claimSocket } from '../../src/peers/socket-path.ts';
import type { Proc } from '../../src/processes/process-table.ts';
import { helperStats } from '../../src/stats.ts';
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

/** Serves at a socket of its own until the test is over. */
export async function serve(proc: Partial<Proc> = {}): Promise<Serving> {
  const path = join(temporaryDirectory(), 'procbus.sock');
  const claimed = await claimSocket({ path, mode: 0o600 });
  const bus = makeBus(proc);
  const { broadcast, table } = bus;
  const host: Host = {
    broadcast,
    software: 'procbusd/test',
    bootId: '2b7f4a0c-0000-4000-8000-000000000000',
    stats: () =>
      helperStats({ connector: { receiveBuffer }, reader: { urgency: 'none' }, table, broadcast, server }),
  };
  const server = new Server(host);
  await server.listen(claimed.fd);
  onTestFinished(async () => {
    claimed.release();
    await server.close(new ProcbusError('stopping', 'the test is over'));
  });
  return { ...bus, path, server, host };
}
