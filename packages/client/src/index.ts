/**
 * The process events of a Linux machine, as typed async iterators.
 *
 * @example
 * ```ts
 * import { connect } from '@procbus/client';
 *
 * await using bus = await connect();
 * for await (const event of bus.watch({ events: ['exec', 'exit'], include: ['args'] })) {
 *   if (event.type === 'lost') console.warn(`${event.count} events lost`);
 *   else console.log(event.type, event.pid, event.process.args ?? event.process.comm);
 * }
 * ```
 *
 * @packageDocumentation
 */
export { Bus } from './bus.ts';
export { connect, type ConnectOptions } from './connect.ts';
export { startEmbedded } from './embedded.ts';
export type { ConnectionChange } from './link.ts';
export type { ListOptions, Snapshot } from './snapshot.ts';
export {
  SnapshotWatch,
  type ListAndWatchOptions,
  type SnapshotAndEvents,
  type SnapshotEvent,
} from './snapshot-watch.ts';
export type { ConnectionStats, HelperFigures, HelperStats, PeerStats, UserStats } from './stats.ts';
export { EventBatch } from './event-batch.ts';
export { Watch, type WatchOptions } from './watch.ts';
export {
  defaultSocketPath,
  errorCodes,
  eventTypes,
  includes,
  ProcbusError,
  type Ancestor,
  type CommEvent,
  type Conditions,
  type CoredumpEvent,
  type Detail,
  type ErrorCode,
  type EventType,
  type EventView,
  type ExecEvent,
  type ExitEvent,
  type FilterRequest,
  type ForkEvent,
  type GidEvent,
  type Grant,
  type HelperHello,
  type Include,
  type LagPolicy,
  type LostEvent,
  type LostWhere,
  type ProcessEvent,
  type ProcessInfo,
  type ProcessRecord,
  type PtraceEvent,
  type SidEvent,
  type StreamEvent,
  type StreamPosition,
  type UidEvent,
} from '@procbus/protocol';
