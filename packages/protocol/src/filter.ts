/*
 * A filter: what one subscription wants to be told. Checked once, then matched against every event.
 */
import { ProcbusError } from './errors.ts';
import { eventTypes, type EventType, type KernelEvent } from './event.ts';

/** What a subscription asks for. */
export interface FilterRequest {
  /** The types of events wanted; all of them where it is left out. */
  readonly events?: readonly EventType[] | undefined;
  /** Whether events of single threads are wanted too; by default they are not. */
  readonly threads?: boolean | undefined;
}

/** A checked filter. Equal filters have equal keys. */
export interface Filter {
  readonly events: ReadonlySet<EventType>;
  readonly threads: boolean;
  readonly key: string;
}

/**
 * Checks a filter as it came from a caller or from the wire.
 *
 * @throws ProcbusError `bad-filter`, naming the field
 */
export function parseFilter(request: unknown): Filter {
  if (typeof request !== 'object' || request === null || Array.isArray(request)) {
    throw new ProcbusError('bad-filter', 'the filter is not a map');
  }
  for (const field of Object.keys(request)) {
    if (field !== 'events' && field !== 'threads') {
      throw new ProcbusError('bad-filter', `unknown field "${field.slice(0, 40)}"`, {
        remedy: 'Known fields are events and threads.',
      });
    }
  }
  const { events, threads = false } = request as Record<string, unknown>;
  if (typeof threads !== 'boolean') throw new ProcbusError('bad-filter', 'threads: not true or false');
  const types = events === undefined ? eventTypes : parseEventTypes(events);
  const sorted = eventTypes.filter((type) => types.includes(type));
  return { events: new Set(sorted), threads, key: `${sorted.join(',')};threads=${threads}` };
}

function parseEventTypes(value: unknown): readonly EventType[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new ProcbusError('bad-filter', 'events: not a list of one or more event types');
  }
  for (const type of value as unknown[]) {
    if (!(eventTypes as readonly unknown[]).includes(type)) {
      const shown = typeof type === 'string' ? `"${type.slice(0, 40)}"` : typeof type;
      throw new ProcbusError('bad-filter', `events: no event type ${shown}`, {
        remedy: `Event types are ${eventTypes.join(', ')}.`,
      });
    }
  }
  return value as EventType[];
}

/**
 * Tells whether an event concerns one thread and not its process. A core dump never does: it is the
 * process that ends, whichever thread was at fault.
 */
export function isThreadEvent(event: Pick<KernelEvent, 'type' | 'pid' | 'tid'>): boolean {
  return event.tid !== event.pid && event.type !== 'coredump';
}

/** Tells whether a filter lets an event through. */
export function matches(filter: Filter, event: Pick<KernelEvent, 'type' | 'pid' | 'tid'>): boolean {
  return filter.events.has(event.type) && (filter.threads || !isThreadEvent(event));
}
