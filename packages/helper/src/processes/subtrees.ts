/*
 * The subtrees that somebody watches: a process with all that descend from it.
 *
 * Idea: a descendant is marked with the ids of the watched roots above it, and a fork passes the
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
   * Marks all that descend from a process now, and from then on all that will.
   *
   * @param root - the process of the id; where it has ended, it is watched already
   * @returns ends the watching; to be given all that may be marked
   */
  watch(id: string, root: Process | undefined): (marked: Iterable<Process>) => void {
    const watchers = this.#watchers.get(id) ?? 0;
    this.#watchers.set(id, watchers + 1);
    if (watchers === 0) mark(id, root?.children ?? []);
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

  /** Passes the marks of a parent on to its child. */
  inherit(child: Process, parent: Process | undefined): void {
    if (parent === undefined) return;
    const isRoot = this.#watchers.has(parent.id);
    child.subtrees = isRoot ? new Set(parent.subtrees).add(parent.id) : parent.subtrees;
  }
}

function mark(id: string, children: Iterable<Process>): void {
  const changed: Changed = new Map();
  const open = [...children];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    // After a loss it may, for a moment, look as if a process descended from itself.
    if (next.subtrees.has(id)) continue;
    open.push(...next.children);
    next.subtrees = once(changed, next.subtrees, (marks) => new Set(marks).add(id));
  }
}

function without(marks: ReadonlySet<string>, id: string): ReadonlySet<string> {
  return new Set([...marks].filter((mark) => mark !== id));
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
