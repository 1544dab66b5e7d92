/*
 * Filters as they travel.
 */
import { parseFilter, type Conditions, type FilterRequest } from '@procbus/protocol';

/**
 * A filter as it travels: checked, and without the fields that are undefined, which msgpack has not.
 *
 * @throws ProcbusError `bad-filter`
 */
export function wireFilter({ not, ...request }: FilterRequest): FilterRequest {
  const filter = defined({ ...request, not: not === undefined ? undefined : defined(not) });
  parseFilter(filter);
  return filter;
}

/**
 * The same filter for good: with the ids of processes in the place of pids, which may be given to others.
 *
 * @param roots - the ids, by pid, that the helper named when it first met the filter
 */
export function boundFilter(filter: FilterRequest, roots: Readonly<Record<string, string>>): FilterRequest {
  const bound = withRoots(filter, roots);
  return filter.not === undefined ? bound : { ...bound, not: withRoots(filter.not, roots) };
}

function withRoots<C extends Conditions>(conditions: C, roots: Readonly<Record<string, string>>): C {
  const { subtree } = conditions;
  if (subtree === undefined) return conditions;
  return { ...conditions, subtree: subtree.map((root) => roots[root] ?? root) };
}

function defined<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
