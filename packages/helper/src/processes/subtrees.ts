/*
 * The subtrees that somebody watches: a process with all that descend from it.
 *
 * Idea: a watched root is marked with its id, and so is all that descends from it: a fork passes its
 * marks on. So a child that gets another parent, or becomes a daemon, stays what it is; and a mark is an
 * id and no pid, so a pid that is given anew has none.
 * Trade-off: what had been given another parent before anybody watched is not found.
 */
import type { Process } from './process.ts';

/** Sets of marks that have become others; most processes share a few sets. */
type Changed = Map<ReadonlySet<string>, ReadonlySet<string>>;

export class Subtrees {
  /** How many watch each root. */
  readonly #watchers = new Map<string, number>();

  /** Whether somebody watches a process and those below, even if it has ended. */
  isWatched(id: string): boolean {
    return this.#watchers.has(id);
  }

  /**
   * Marks a process, all that descend from it now, and from then on all that will.
   *
   * @param root - the process of the id; where it has ended, it is watched already
   * @returns ends the watching; to be given all that may be marked
   */
  watch(id: string, root: Process | undefined): (marked: Iterable<Process>) => void {
    const watchers = this.#watchers.get(id) ?? 0;
    this.#watchers.set(id, watchers + 1);
    if (watchers === 0 && root !== undefined) markAll(id, root);
    return (marked) => this.#unwatch(id, marked);
  }

  #unwatch(id: string, marked: Iterable<Process>): void {
    const watchers = (this.#watchers.get(id) as number) - 1;
    if (watchers > 0) {
      this.#watchers.set(id, watchers);
      return;
    }
    this.#watchers.delete(id);
    const changed: Changed = new Map();
    for (const process of marked) {
      if (!process.subtrees.has(id)) continue;
      process.subtrees = once(changed, process.subtrees, (marks) => without(marks, id));
    }
  }
}

/** Marks a process and all that descend from it. */
function markAll(id: string, root: Process): void {
  const changed: Changed = new Map();
  const open = [root];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    open.push(...next.children);
    next.subtrees = once(changed, next.subtrees, (marks) => new Set(marks).add(id));
  }
}

function without(marks: ReadonlySet<string>, id: string): ReadonlySet<string> {
  return new Set([...marks].filter((other) => other !== id));
}

/** Changes each set but once, so that those who shared it share the new one. */
function once(
  changed: Changed,
  marks: ReadonlySet<string>,
  change: (marks: ReadonlySet<string>) => ReadonlySet<string>,
): ReadonlySet<string> {
  const known = changed.get(marks);
  if (known !== undefined) return known;
  const made = change(marks);
  changed.set(marks, made);
  return made;
}
