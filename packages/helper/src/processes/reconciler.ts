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
    this.#table.isDoubtful = true;
    const wait = Math.max(0, this.#last + interval - performance.now());
    this.#timer ??= setTimeout(() => this.look(), wait);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /** Looks at every process now. */
  look(): void {
    this.#timer = undefined;
    const known = new Map([...this.#table.living.values()].map((process) => [process, process.facts]));
    const found = new Map<number, FoundProcess>();
    for (const pid of this.#proc.listPids()) {
      const process = this.#proc.readProcess(pid);
      if (process !== undefined) found.set(pid, process);
    }
    // It may find new losses, and ask for another look.
    this.#catchUp();
    this.#tell(this.#differences(known, found));
    this.#last = performance.now();
    this.#table.isDoubtful = this.#timer !== undefined;
  }

  *#differences(
    known: ReadonlyMap<Process, Facts>,
    found: ReadonlyMap<number, FoundProcess>,
  ): Generator<Told> {
    for (const process of known.keys()) {
      const { pid, startTime } = process;
      if (this.#table.living.get(pid) !== process || isSame(startTime, found.get(pid))) continue;
      if (!found.has(pid) && this.#proc.isHidden(pid)) continue;
      const kernelTime = monotonicTime();
      this.#table.end(process, kernelTime);
      yield endOf(process, kernelTime);
    }
    for (const [pid, seen] of found) {
      const process = this.#table.living.get(pid);
      if (process === undefined) yield* this.#appeared(pid, seen);
      // What events have changed since is newer than what was read.
      else if (known.get(process) === process.facts && isSame(process.startTime, seen)) {
        yield* changed(process, seen);
      }
    }
  }

  *#appeared(pid: number, { startTime }: FoundProcess): Generator<Told> {
    // It may have ended since, and then its pid may be another's, of which events will tell.
    if (!isSame(startTime, this.#proc.readProcess(pid))) return;
    yield* this.#table.meet(pid).map(beginningOf);
  }
}

/** Takes in what has changed; a program that is another one is told as an exec. */
function* changed(process: Process, { facts }: FoundProcess): Generator<Told> {
  const { exe } = process.facts;
  process.facts = facts.detail === 'complete' ? facts : { ...process.facts, comm: facts.comm };
  if (exe !== undefined && facts.exe !== undefined && exe !== facts.exe) yield changeOf(process);
}

function isSame(startTime: bigint, found: FoundProcess | undefined): boolean {
  if (found === undefined) return false;
  const difference = found.startTime - startTime;
  return difference < startPrecision && difference > -startPrecision;
}
