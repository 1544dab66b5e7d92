/*
 * A filter: what one subscription wants to be told. Checked once, then matched against every event.
 */
import { isMap } from './codec.ts';
import { conditionFields, maxPatternLength, parseConditions, patternFields, shown } from './conditions.ts';
import type { Condition, Conditions, Life, Subject } from './conditions.ts';
import { ProcbusError } from './errors.ts';
import { eventTypes, type EventType, type KernelEvent } from './event.ts';
import { includes, type Include } from './process.ts';

/** What a subscription asks for. All fields together have to hold; those left out ask for nothing. */
export interface FilterRequest extends Conditions {
  /** The types of events wanted; all of them where it is left out. */
  readonly events?: readonly EventType[] | undefined;
  /** Whether events of single threads are wanted too; by default they are not. */
  readonly threads?: boolean | undefined;
  /** What to tell of the process beside its name, with each event. */
  readonly include?: readonly Include[] | undefined;
  /** Conditions of which none may hold, each for itself. */
  readonly not?: Conditions | undefined;
}

/** A checked filter. Equal filters have equal keys. */
export interface Filter {
  readonly events: ReadonlySet<EventType>;
  readonly threads: boolean;
  readonly include: ReadonlySet<Include>;
  /** All of these have to hold. */
  readonly where: readonly Condition[];
  /** None of these may hold. */
  readonly not: readonly Condition[];
  readonly key: string;
}

const fields = ['events', 'threads', 'include', 'not', ...conditionFields];

/**
 * Checks a filter as it came from a caller or from the wire.
 *
 * @throws ProcbusError `bad-filter`, naming the field
 */
export function parseFilter(request: unknown): Filter {
  const given = map(request, 'the filter');
  checkFields(given, fields, '');
  const { events = eventTypes, threads = false, include = [], not: excluded } = given;
  if (typeof threads !== 'boolean') throw new ProcbusError('bad-filter', 'threads: not true or false');
  if (Array.isArray(events) && events.length === 0)
    throw new ProcbusError('bad-filter', 'events: an empty list');
  const types = parseNames('events', events, eventTypes);
  const extras = parseNames('include', include, includes);
  const where = parseConditions(given);
  const not = excluded === undefined ? [] : parseExcluded(map(excluded, 'not'));
  checkPatterns([...where, ...not]);
  return {
    events: new Set(types),
    threads,
    include: new Set(extras),
    where,
    not,
    key: JSON.stringify([types, threads, extras, valuesOf(where), valuesOf(not)]),
  };
}

function parseExcluded(given: Record<string, unknown>): Condition[] {
  checkFields(given, conditionFields, 'not.');
  return parseConditions(given, 'not.');
}

function valuesOf(conditions: readonly Condition[]): unknown {
  return conditions.map(({ field, value }) => [field, value]);
}

/**
 * A request with every pid of `subtree` replaced, so that it means one process for good.
 *
 * @param request - checked already, see {@link parseFilter}
 * @param idOf - gives the id of the process that a pid or an id stands for now; may throw
 */
export function bindSubtrees(
  request: FilterRequest,
  idOf: (root: number | string, field: string) => string,
): FilterRequest {
  const bind = (conditions: Conditions, field: string): Conditions => {
    if (conditions.subtree === undefined) return conditions;
    return { ...conditions, subtree: conditions.subtree.map((root) => idOf(root, field)) };
  };
  const bound = bind(request, 'subtree');
  return request.not === undefined ? bound : { ...bound, not: bind(request.not, 'not.subtree') };
}

function map(value: unknown, name: string): Record<string, unknown> {
  if (isMap(value)) return value;
  throw new ProcbusError('bad-filter', `${name} is not a map`);
}

function checkFields(given: object, known: readonly string[], prefix: string): void {
  for (const field of Object.keys(given)) {
    if (known.includes(field)) continue;
    throw new ProcbusError('bad-filter', `unknown field "${prefix}${field.slice(0, 40)}"`, {
      remedy: `Known fields are ${known.join(', ')}.`,
    });
  }
}

/** Bounds the work that one filter can make for each event. */
function checkPatterns(conditions: readonly Condition[]): void {
  const patterns = conditions.filter(({ field }) => patternFields.has(field));
  // By code points, as one pattern is measured too.
  const length = Array.from(patterns.flatMap(({ value }) => value as string[]).join('')).length;
  if (length <= maxPatternLength) return;
  throw new ProcbusError('bad-filter', `patterns of ${length} characters, more than ${maxPatternLength}`, {
    remedy: 'Use several subscriptions, or fewer and shorter patterns.',
  });
}

/** A list of known names, without doubles and in the order they are known in. */
function parseNames<Name extends string>(field: string, value: unknown, known: readonly Name[]): Name[] {
  if (!Array.isArray(value)) throw new ProcbusError('bad-filter', `${field}: not a list of names`);
  for (const name of value as unknown[]) {
    if ((known as readonly unknown[]).includes(name)) continue;
    throw new ProcbusError('bad-filter', `${field}: there is no ${shown(name)}`, {
      remedy: `Known are ${known.join(', ')}.`,
    });
  }
  return known.filter((name) => (value as unknown[]).includes(name));
}

/**
 * Tells whether an event concerns one thread and not its process. A core dump never does: it is the
 * process that ends, whichever thread was at fault.
 */
export function isThreadEvent(event: Pick<KernelEvent, 'type' | 'pid' | 'tid'>): boolean {
  return event.tid !== event.pid && event.type !== 'coredump';
}

/** Tells whether a filter wants an event, whoever it is about. */
export function wantsEvent(
  { events, threads }: Filter,
  event: Pick<KernelEvent, 'type' | 'pid' | 'tid'>,
): boolean {
  return events.has(event.type) && (threads || !isThreadEvent(event));
}

/** Tells whether a filter lets an event of a process through. */
export function matches(
  filter: Filter,
  event: Pick<KernelEvent, 'type' | 'pid' | 'tid'>,
  subject: Subject,
  life: Life,
): boolean {
  return wantsEvent(filter, event) && matchesProcess(filter, subject, life);
}

/** Tells whether a filter lets a process through, whatever happens to it: in a snapshot. */
export function matchesProcess({ where, not }: Filter, subject: Subject, life: Life): boolean {
  for (const condition of where) if (!condition.holds(subject, life)) return false;
  for (const condition of not) if (condition.holds(subject, life)) return false;
  return true;
}
