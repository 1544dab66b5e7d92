/**
 * The process events of a Linux machine, as typed async iterators.
 *
 * @example
 * ```ts
 * import { connect } from '@procbus/client';
 *
 * await using bus = await connect();
 * for await (const event of bus.watch({ events: ['exec', 'exit'] })) {
 *   console.log(event.type, event.type === 'lost' ? event.count : event.pid);
 * }
 * ```
 *
 * @packageDocumentation
 */
export { Bus, type HelperStats } from './bus.ts';
export { connect, type ConnectOptions } from './connect.ts';
export { startEmbedded } from './embedded.ts';
export { Watch, type WatchOptions } from './watch.ts';
export {
  defaultSocketPath,
  errorCodes,
  eventTypes,
  includes,
  ProcbusError,
  type Ancestor,
  type CommEvent,
  type CoredumpEvent,
  type Detail,
  type ErrorCode,
  type EventType,
  type ExecEvent,
  type ExitEvent,
  type ForkEvent,
  type GidEvent,
  type HelperHello,
  type Include,
  type LostEvent,
  type ProcessEvent,
  type ProcessInfo,
  type PtraceEvent,
  type SidEvent,
  type StreamEvent,
  type StreamPosition,
  type UidEvent,
} from '@procbus/protocol';
