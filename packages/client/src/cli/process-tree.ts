/*
 * Processes as a forest, by their parents.
 *
 * Whatever a list says of parents, each process comes up exactly once: one whose parent is not in the
 * list is a root, and so is the first of those that are each other's ancestors.
 */
import type { ProcessRecord } from '@procbus/protocol';

/** A process, and the lines that lead to it from its parent. */
export interface Branch {
  readonly process: ProcessRecord;
  readonly prefix: string;
}

/** A chain of processes can be as long as the kernel allows; its lines must not grow with it. */
const longestPrefix = 120;

/** All processes in the order of the tree: each before its children, which keep the order of the list. */
export function forest(processes: readonly ProcessRecord[]): Branch[] {
  const parentOf = parentFinder(processes);
  const roots: ProcessRecord[] = [];
  const childrenOf = new Map<ProcessRecord, ProcessRecord[]>();
  for (const process of processes) {
    const parent = parentOf(process);
    if (parent === undefined) roots.push(process);
    else listIn(childrenOf, parent).push(process);
  }
  const seen = new Set<ProcessRecord>();
  const branches: Branch[] = [];
  for (const root of [...roots, ...processes]) {
    if (!seen.has(root)) branches.push(...grow(root, childrenOf, seen));
  }
  return branches;
}

/** One tree. Not by recursion, as it may be deeper than the stack. */
function* grow(
  root: ProcessRecord,
  childrenOf: ReadonlyMap<ProcessRecord, readonly ProcessRecord[]>,
  seen: Set<ProcessRecord>,
): Generator<Branch, void, undefined> {
  seen.add(root);
  /** What is still to be told, the next one last; `below` is what its children's lines begin with. */
  const waiting = [{ process: root, prefix: '', below: '' }];
  for (let branch = waiting.pop(); branch !== undefined; branch = waiting.pop()) {
    const { process, prefix, below } = branch;
    yield { process, prefix };
    const children = (childrenOf.get(process) ?? []).filter((child) => !seen.has(child));
    for (const [index, child] of [...children.entries()].toReversed()) {
      seen.add(child);
      const isLast = index === children.length - 1;
      waiting.push({
        process: child,
        prefix: below + (isLast ? '└─ ' : '├─ '),
        below: (below + (isLast ? '   ' : '│  ')).slice(-longestPrefix),
      });
    }
  }
}

/** Finds parents. Of several with one pid, it is the last that was there before the child. */
function parentFinder(
  processes: readonly ProcessRecord[],
): (child: ProcessRecord) => ProcessRecord | undefined {
  const byPid = new Map<number, ProcessRecord[]>();
  for (const process of processes) listIn(byPid, process.pid).push(process);
  return (child) => {
    const candidates = byPid.get(child.ppid)?.filter((candidate) => candidate !== child) ?? [];
    // Starts are not all exact, so the only one will do in any case.
    return candidates.findLast(({ startTime }) => startTime <= child.startTime) ?? candidates[0];
  };
}

function listIn<Key, Value>(lists: Map<Key, Value[]>, key: Key): Value[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}
