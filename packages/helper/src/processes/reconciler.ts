/*
 * Makes the table true again after events were lost: holds it against /proc, and tells what appeared
 * or ended unseen.
 *
 * Idea: first /proc is read, then everything that the kernel had told until then is applied. What still
 * differs, no event will ever tell.
 * Trade-off: it costs a look at every process, so while events keep being lost it is done a few
 * times a second. A process that came and went between two looks stays unknown; `lost` counts its events.
 */
import { monotonicTime } from '../libc.ts';
import { startPrecision, type FoundProcess } from './facts.ts';
import type { Facts, Process } from './process.ts';
import type { Proc, ProcessTable } from './process-table.ts';
import { beginningOf, changeOf, endOf, type Told } from './told.ts';

/** ms between two looks. */
const interval = 250;
/** So often it is looked at what changes all the time. */
const roundLimit = 4;

export class Reconciler {
  readonly #table: ProcessTable;
  readonly #proc: Proc;
  readonly #catchUp: () => void;
  readonly #tell: (events: Iterable<Told>) => void;
  #timer: NodeJS.Timeout | undefined;
  #last = -Infinity;

  /**
   * @param catchUp - has the table follow all that the kernel has told by now
   * @param tell - tells what was found; takes each event before it asks for the next
   */
  constructor(table: ProcessTable, proc: Proc, catchUp: () => void, tell: (events: Iterable<Told>) => void) {
    this.#table = table;
    this.#proc = proc;
    this.#catchUp = catchUp;
    this.#tell = tell;
  }

  /** Events were lost: looks soon. */
  schedule(): void {
    const wait = Math.max(0, this.#last + interval - performance.now());
    this.#timer ??= setTimeout(() => this.look(), wait);
  }

  /** Looks now, where it would look soon. */
  lookIfDue(): void {
    if (this.#timer !== undefined) this.look();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /** Looks at every process now; and again at those to which something happened meanwhile. */
  look(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let pids = this.#proc.listPids();
    pids.push(...this.#table.living.keys());
    for (let round = 0; round < roundLimit && pids.length > 0; round++) pids = this.#lookAt(new Set(pids));
    this.#last = performance.now();
  }

  /** Looks at some processes; returns those that have changed until the table had caught up. */
  #lookAt(pids: ReadonlySet<number>): number[] {
    const { living } = this.#table;
    const known = new Map([...living.values()].map((process) => [process, process.facts]));
    const found = new Map<number, FoundProcess>();
    const hidden = new Set<number>();
    for (const pid of pids) {
      const process = this.#proc.readProcess(pid);
      if (process !== undefined) found.set(pid, process);
      else if (this.#proc.isHidden(pid)) hidden.add(pid);
    }
    // It may find new losses, and ask for another look.
    this.#catchUp();
    for (const [pid, seen] of found) if (this.#hasEnded(pid, seen)) found.delete(pid);
    const changed = [...living.values()].filter((process) => known.get(process) !== process.facts);
    const asked = [...known.keys()].filter(({ pid }) => pids.has(pid) && !hidden.has(pid));
    this.#tell(this.#differences(asked, found, new Set(changed)));
    return changed.map(({ pid }) => pid);
  }

  /** Whether the table has seen the end of a process since it was read. */
  #hasEnded(pid: number, { startTime }: FoundProcess): boolean {
    const living = this.#table.living.get(pid)?.startTime;
    if (living !== undefined && living > startTime - startPrecision) return false;
    const { endTime = 0n } = this.#table.endedWithPid(pid) ?? {};
    return endTime >= startTime;
  }

  *#differences(
    known: readonly Process[],
    found: ReadonlyMap<number, FoundProcess>,
    changed: ReadonlySet<Process>,
  ): Generator<Told> {
    const { living } = this.#table;
    for (const process of known) {
      const { pid, startTime } = process;
      if (living.get(pid) !== process || isSame(startTime, found.get(pid))) continue;
      const kernelTime = monotonicTime();
      this.#table.end(process, kernelTime);
      yield endOf(process, kernelTime);
    }
    for (const pid of found.keys()) {
      if (!living.has(pid)) yield* this.#table.meet(pid, (one) => found.get(one)).map(beginningOf);
    }
    for (const process of known) {
      const seen = found.get(process.pid);
      // What events have changed since is newer than what was read.
      if (seen === undefined || changed.has(process) || living.get(process.pid) !== process) continue;
      yield* this.#refresh(process, seen);
    }
  }

  /** Takes in what has changed; a program that is another one is told as an exec. */
  *#refresh(process: Process, { ppid, facts, readAt }: FoundProcess): Generator<Told> {
    process.readAt = readAt;
    process.isInDoubt = false;
    const { exe, detail, begunBy } = process.facts;
    const isClosed = detail === 'complete' && facts.detail !== 'complete';
    process.facts = isClosed ? { ...facts, ...programOf(process.facts) } : facts;
    // Some is what was known before: it is certain whose all of it is only where both are.
    if (isClosed && facts.begunBy !== begunBy) process.facts = { ...process.facts, begunBy: undefined };
    if (process.parent?.pid !== ppid) this.#table.adopt(process, ppid);
    if (exe !== undefined && facts.exe !== undefined && exe !== facts.exe) yield changeOf(process);
  }
}

/** What of a program may be closed to us by now, so that what is known of it has to do. */
function programOf({ exe, args, argsTruncated, cwd, detail }: Facts): Partial<Facts> {
  return { exe, args, argsTruncated, cwd, detail };
}

function isSame(startTime: bigint, found: FoundProcess | undefined): boolean {
  if (found === undefined) return false;
  const difference = found.startTime - startTime;
  return difference < startPrecision && difference > -startPrecision;
}
