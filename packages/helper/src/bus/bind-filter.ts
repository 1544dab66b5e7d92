/*
 * Makes a filter mean what it means now: a pid of a subtree becomes one process for good, and users have
 * to exist.
 */
import { bindSubtrees, parseFilter, ProcbusError, type Filter, type FilterRequest } from '@procbus/protocol';
import { userExists } from '../libc.ts';
import type { ProcessTable } from '../processes/process-table.ts';

/**
 * Checks a request, and binds it to the processes that live.
 *
 * @throws ProcbusError `bad-filter`, naming the field
 */
export function bindFilter(request: unknown, table: ProcessTable): Filter {
  const filter = parseFilter(request);
  for (const { field, name, value } of conditionsOf(filter)) {
    if (field !== 'users') continue;
    for (const user of value as string[]) {
      if (!userExists(user))
        throw new ProcbusError('bad-filter', `${name}: there is no user ${JSON.stringify(user)}`);
    }
  }
  if (subtreesOf(filter).length === 0) return filter;
  return parseFilter(bindSubtrees(request as FilterRequest, (root, field) => idOf(table, root, field)));
}

/** The roots of all subtrees that a filter asks for. */
export function subtreesOf(filter: Filter): string[] {
  const subtrees = conditionsOf(filter).filter(({ field }) => field === 'subtree');
  return [...new Set(subtrees.flatMap(({ value }) => value as (number | string)[]).map(String))];
}

function conditionsOf({ where, not }: Filter): { field: string; name: string; value: unknown }[] {
  return [
    ...where.map(({ field, value }) => ({ field, name: field, value })),
    ...not.map(({ field, value }) => ({ field, name: `not.${field}`, value })),
  ];
}

function idOf(table: ProcessTable, root: number | string, field: string): string {
  const id = typeof root === 'number' ? (table.get(root) ?? table.endedWithPid(root))?.id : root;
  if (id !== undefined && (table.find(id) !== undefined || table.subtrees.isWatched(id))) return id;
  throw new ProcbusError('bad-filter', `${field}: there is no process ${root}`, {
    remedy: 'It may have ended; procbus ps shows those that live.',
  });
}
