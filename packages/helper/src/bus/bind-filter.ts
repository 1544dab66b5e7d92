/*
 * Makes a filter mean what it means now, for who asks: a pid of a subtree becomes one process for good,
 * users have to exist, and what the asker may not see, the filter may not ask for.
 */
import {
  bindSubtrees,
  parseFilter,
  ProcbusError,
  tells,
  type Conditions,
  type Filter,
  type FilterRequest,
  type Grant,
  type Include,
} from '@procbus/protocol';
import { userExists } from '../libc.ts';
import { startPrecision } from '../processes/facts.ts';
import type { Process } from '../processes/process.ts';
import type { ProcessTable } from '../processes/process-table.ts';
import { Selection, type Asker } from './selection.ts';
import { isOwn, lensOf } from './view.ts';

/**
 * Checks a request, and binds it to the processes that live and to what the asker may see.
 *
 * @param always - what is told beside what the filter includes
 * @throws ProcbusError `bad-filter` or `not-granted`, naming the field
 */
export function bindFilter(
  request: unknown,
  asker: Asker,
  table: ProcessTable,
  always: readonly Include[] = [],
): Selection {
  const filter = parseFilter(request);
  for (const { field, name, value } of conditionsOf(filter)) {
    if (!tells(asker.grant.detail, field)) throw beyondGrant(name, asker.grant);
    if (field !== 'users') continue;
    for (const user of value as string[]) {
      if (!userExists(user))
        throw new ProcbusError('bad-filter', `${name}: there is no user ${JSON.stringify(user)}`);
    }
  }
  const roots: Record<string, string> = {};
  const bound = bindSubtrees(request as FilterRequest, (root, field) => {
    const id = idOf(table, asker, root, field);
    if (typeof root === 'number') roots[root] = id;
    return id;
  });
  return new Selection(bound, asker, always, roots);
}

/** What may not be seen may not be asked for either, as the answers would tell it bit by bit. */
function beyondGrant(name: string, { detail }: Grant): ProcbusError {
  return new ProcbusError('not-granted', `${name}: you may see no more than ${detail} of processes`, {
    remedy: 'Leave this condition out, or ask an administrator for a grant with more detail.',
  });
}

/** All conditions of a filter, with their names in errors. */
function conditionsOf({ where, not }: Filter): { field: keyof Conditions; name: string; value: unknown }[] {
  return [
    ...where.map(({ field, value }) => ({ field, name: field as string, value })),
    ...not.map(({ field, value }) => ({ field, name: `not.${field}`, value })),
  ];
}

function idOf(table: ProcessTable, asker: Asker, root: number | string, field: string): string {
  const process =
    typeof root === 'number'
      ? (table.get(root) ?? table.endedWithPid(root))
      : (table.find(root) ?? sameOfAnotherRun(table, root));
  const lens = lensOf(asker.grant, asker.uid, []);
  if (process !== undefined && isOwn(lens, process.portrait)) return process.id;
  if (typeof root === 'string' && lens.owner === undefined && table.subtrees.isWatched(root)) return root;
  throw new ProcbusError('bad-filter', `${field}: there is no process ${root}`, {
    remedy: 'It may have ended; procbus ps shows those that live.',
  });
}

/** The process that an earlier run of the helper gave an id; runs differ by a little in when it started. */
function sameOfAnotherRun(table: ProcessTable, id: string): Process | undefined {
  const [, pid, start] = /^([1-9][0-9]{0,9})\.(-?[0-9a-z]{1,12})$/.exec(id) ?? [];
  if (pid === undefined || start === undefined) return undefined;
  const process = table.get(Number(pid));
  // As a number it is exact to some µs, which is enough.
  const difference = (process?.startTime ?? 0n) - BigInt(Number.parseInt(start, 36));
  return difference < startPrecision && difference > -startPrecision ? process : undefined;
}
