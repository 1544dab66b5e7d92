/*
 * A helper without a kernel: its socket, its bus, and batches that the test makes.
 */
import { join } from 'node:path';
import { ProcbusError, type EventType, type KernelEvent } from '@procbus/protocol';
import { onTestFinished } from 'vitest';
import { temporaryDirectory } from '../../../../test/support/procbus.ts';
import { Broadcast } from '../../src/bus/broadcast.ts';
import type { Connector } from '../../src/kernel/connector.ts';
import type { Batch } from '../../src/kernel/kernel-stream.ts';
import { Server } from '../../src/peers/server.ts';
import type { Host } from '../../src/peers/session.ts';
import { claimSocket } from '../../src/peers/socket-path.ts';
import { helperStats } from '../../src/stats.ts';

/** The one figure of the connector that `stats` tells. */
export const receiveBuffer: number = 4096;

export interface Serving {
  readonly path: string;
  readonly broadcast: Broadcast;
  readonly server: Server;
  /** What its sessions know of it, for a session that the test makes itself. */
  readonly host: Host;
}

/** Serves at a socket of its own until the test is over. */
export async function serve(): Promise<Serving> {
  const path = join(temporaryDirectory(), 'procbus.sock');
  const claimed = await claimSocket({ path, mode: 0o600 });
  const broadcast = new Broadcast(() => undefined);
  const connector = { receiveBuffer } as Connector;
  const host: Host = {
    broadcast,
    software: 'procbusd/test',
    bootId: '2b7f4a0c-0000-4000-8000-000000000000',
    stats: () => helperStats(connector, broadcast, server),
  };
  const server = new Server(host);
  await server.listen(claimed.fd);
  onTestFinished(async () => {
    claimed.release();
    await server.close(new ProcbusError('stopping', 'the test is over'));
  });
  return { path, broadcast, server, host };
}

/** An event without fields of its own. */
export function eventOf(
  type: Extract<EventType, 'exec' | 'sid'>,
  pid: number,
  tid: number = pid,
): KernelEvent {
  return { type, kernelTime: 2n ** 60n + BigInt(pid), cpu: 0, pid, tid };
}

/** `count` processes that run a program. */
export function execs(count: number): KernelEvent[] {
  return Array.from({ length: count }, (_, index) => eventOf('exec', index + 1));
}

/** A batch, and how many events the kernel dropped behind it. */
export function batchOf(events: readonly KernelEvent[], lost = 0): Batch {
  return { events, lost, kernelTime: 5n, clockOffset: 2n ** 60n };
}
