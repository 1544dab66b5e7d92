/*
 * What the helper tells of itself in answer to `stats`; `docs/protocol.md` lists the fields.
 */
import { wireInteger } from '@procbus/protocol';
import type { Broadcast } from './bus/broadcast.ts';
import type { Connector } from './kernel/connector.ts';
import type { ProcessTable } from './processes/process-table.ts';
import type { Server } from './peers/server.ts';

export function helperStats(
  connector: Connector,
  table: ProcessTable,
  broadcast: Broadcast,
  server: Server,
): Record<string, unknown> {
  const { processes, threads } = broadcast.interest;
  return {
    uptime: process.uptime(),
    clients: server.clients,
    subscriptions: server.subscriptions,
    seq: wireInteger(broadcast.seq),
    received: Object.fromEntries([...broadcast.received].map(([type, count]) => [type, wireInteger(count)])),
    lost: { kernel: wireInteger(broadcast.dropped), queue: wireInteger(server.dropped) },
    kernelFilter: { processes: [...processes], threads: [...threads] },
    processes: table.size,
    receiveBuffer: connector.receiveBuffer,
    rss: wireInteger(process.memoryUsage.rss()),
  };
}
