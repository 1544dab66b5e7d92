/*
 * What the helper tells of itself in answer to `stats`; `docs/protocol.md` lists the fields.
 */
import { wireInteger } from '@procbus/protocol';
import type { Broadcast } from './bus/broadcast.ts';
import type { Connector } from './kernel/connector.ts';
import type { ExecReader } from './processes/exec-reader.ts';
import type { ProcessTable } from './processes/process-table.ts';
import type { Server } from './peers/server.ts';

/** The parts of the helper that have something to tell. */
export interface Parts {
  readonly connector: Pick<Connector, 'receiveBuffer'>;
  readonly reader: Pick<ExecReader, 'urgency'>;
  readonly table: ProcessTable;
  readonly broadcast: Broadcast;
  readonly server: Server;
}

export function helperStats(parts: Parts): Record<string, unknown> {
  const { connector, reader, table, broadcast, server } = parts;
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
    programReader: reader.urgency ?? null,
    receiveBuffer: connector.receiveBuffer,
    rss: wireInteger(process.memoryUsage.rss()),
  };
}
