/*
 * A history of a made-up machine, a process table that follows it, and somebody who is told everything.
 */
import type { KernelEvent } from '@procbus/protocol';
import { vi } from 'vitest';
import type { Process } from '../../src/processes/process.ts';
import { ProcessTable } from '../../src/processes/process-table.ts';
import { Reconciler } from '../../src/processes/reconciler.ts';
import type { Told } from '../../src/processes/told.ts';
import { ModelMachine, type Being, type Deed } from './model-machine.ts';

/** /proc tells a start to 10 ms, and by another clock. */
const precision = 20_000_000n;

interface Waiting {
  readonly event: KernelEvent;
  readonly being: Being;
  readonly isLost: boolean;
}

export interface Setting {
  readonly pids: number;
  readonly isSecretive: boolean;
}

/** Takes what is told, and how many events were lost before that was noticed. */
type Tell = (events: Iterable<Told>, lost: number) => void;

/** What happens in a history. */
export type Step =
  | { readonly kind: 'act' | 'lose'; readonly deed: Deed }
  | { readonly kind: 'deliver'; readonly count: number }
  | { readonly kind: 'look'; readonly ahead: readonly Deed[]; readonly behind: readonly Deed[] }
  | { readonly kind: 'watch' | 'unwatch'; readonly which: number };

/** Needs timers that are made up as well. */
export class History {
  readonly machine: ModelMachine;
  readonly table: ProcessTable;
  /** What is wrong with what was told. */
  readonly faults: string[] = [];
  /** Ids of those that live, as far as one knows who was only told events. */
  #present = new Set<string>();
  #ever = new Set<string>();
  readonly #tell: Tell;
  readonly #watches: { root: Being; id: string; unwatch: (marked: Iterable<Process>) => void }[] = [];
  #waiting: Waiting[] = [];
  readonly #reconciler: Reconciler;
  #isLosing = false;
  /** Whether all was told so far. */
  #isLossless = true;
  /** What is done while the reconciler looks: before it catches up, and behind. */
  #meanwhile: [readonly Deed[], readonly Deed[]] = [[], []];

  /**
   * @param before - what is done before anybody listens
   * @param unscanned - what is done then, before the table takes in who lives
   * @param tell - told all that is told from then on, and has to take it
   */
  constructor(
    { pids, isSecretive }: Setting,
    before: readonly Deed[],
    unscanned: readonly Deed[],
    tell: Tell = (events) => void [...events],
  ) {
    this.#tell = tell;
    const hear = (event: KernelEvent, being: Being): void => {
      this.#waiting.push({ event, being, isLost: this.#isLosing });
    };
    this.machine = new ModelMachine(hear, pids, isSecretive);
    this.table = new ProcessTable(this.machine);
    const catchUp = (): void => {
      const [ahead, behind] = this.#meanwhile.splice(0, 2, [], []) as [Deed[], Deed[]];
      this.act(ahead);
      this.deliver();
      this.act(behind);
    };
    this.#reconciler = new Reconciler(this.table, this.machine, catchUp, (told) =>
      this.#tell(this.#check(told, new Map()), 0),
    );
    // Who is hidden, and was there before, is not known for want of events.
    if (!isSecretive) this.act(before);
    this.#waiting = [];
    // No pid comes round again within the few ms until the scan.
    this.machine.reusesPids = false;
    if (!isSecretive) this.act(unscanned);
    this.machine.reusesPids = true;
    this.table.scan();
    // Nobody is told of what was before.
    for (const _ of this.table.follow(this.#waiting.splice(0).map(({ event }) => event)));
    this.#present = new Set(this.#ids);
    this.#ever = new Set(this.#ids);
  }

  take(step: Step): void {
    switch (step.kind) {
      case 'act':
      case 'lose':
        return this.act([step.deed], step.kind === 'lose');
      case 'deliver':
        return this.deliver(step.count);
      case 'look':
        return this.look(step.ahead, step.behind);
      case 'watch':
        return this.watch(step.which);
      case 'unwatch':
        return this.unwatch(step.which);
    }
  }

  get #ids(): string[] {
    return [...this.table.living.values()].map(({ id }) => id);
  }

  /** Has deeds done, whose events wait then. */
  act(deeds: readonly Deed[], isLosing = false): void {
    this.#isLosing = isLosing;
    for (const next of deeds) this.machine.act(next);
    this.#isLosing = false;
  }

  /** Tells the table the next events; it learns of a loss only behind them. */
  deliver(count: number = this.#waiting.length): void {
    const batch = this.#waiting.splice(0, count);
    const told = batch.filter(({ isLost }) => !isLost);
    const lossless = told.length === batch.length;
    this.#isLossless &&= lossless;
    const beings = new Map(told.map(({ event, being }) => [event, being]));
    this.#tell(this.#check(this.table.follow(beings.keys(), !lossless), beings), batch.length - told.length);
    for (const process of this.table.living.values()) {
      if (descendsFromItself(process)) this.faults.push(`${process.id} descends from itself`);
    }
    if (!lossless) this.#reconciler.schedule();
  }

  /** Looks at /proc, again if events are lost meanwhile. */
  look(ahead: readonly Deed[], behind: readonly Deed[]): void {
    this.#meanwhile = [ahead, behind];
    this.#isLossless = false;
    this.#reconciler.schedule();
    while (vi.getTimerCount() > 0) vi.advanceTimersToNextTimer();
  }

  watch(who: number): void {
    this.deliver();
    const root = [...this.machine.living.values()][who % this.machine.living.size] as Being;
    const process = this.table.living.get(root.pid);
    if (process === undefined) return;
    const unwatch = this.table.subtrees.watch(process.id, process);
    this.#watches.push({ root, id: process.id, unwatch });
    this.machine.watch(root);
  }

  unwatch(which: number): void {
    const [watch] = this.#watches.splice(which % Math.max(1, this.#watches.length), 1);
    if (watch === undefined) return;
    watch.unwatch(this.table.all());
    if (!this.#watches.some(({ root }) => root === watch.root)) this.machine.unwatch(watch.root);
  }

  *#check(events: Iterable<Told>, beings: ReadonlyMap<KernelEvent, Being>): Generator<Told, void, undefined> {
    for (const told of events) {
      this.#hear(told, beings);
      yield told;
    }
  }

  #hear({ event, process }: Told, beings: ReadonlyMap<KernelEvent, Being>): void {
    const { type, pid, tid } = event;
    const being = beings.get(event);
    const fault = (what: string): unknown => this.faults.push(`${type} of ${process.id}, ${tid}: ${what}`);
    if (process.pid !== pid) fault(`the event is one of ${pid}`);
    if (this.#isLossless && (being === undefined || event.synthetic === true)) fault('it is made up');
    if (this.#isLossless && being !== undefined && !isOf(process, being)) fault('it is of another process');
    if (pid !== tid) return;
    if (type === 'fork') {
      if (this.#ever.has(process.id)) fault('it was there already');
      this.#ever.add(process.id);
      this.#present.add(process.id);
    }
    if (type === 'exit' && !this.#present.delete(process.id)) fault('it was not there');
  }

  /** Delivers what waits. Then what is known, and was told, has to be equal to the truth. */
  compare(): { known: object; truth: object } {
    this.deliver();
    // Who is hidden, and was lost, cannot be found again.
    const isOpen = (pid: number): boolean => this.#isLossless || !this.machine.isHidden(pid);
    const processes = inOrder(this.table.living).filter(({ pid }) => isOpen(pid));
    const beings = inOrder(this.machine.living).filter(({ pid }) => isOpen(pid));
    // After a loss nobody may know who has forked whom.
    const watches = this.#isLossless ? this.#watches : [];
    const knowsParents = this.#isLossless || !this.machine.isSecretive;
    const known = {
      faults: this.faults,
      told: [...this.#present].toSorted(),
      processes: processes.map(factsOf),
      parents: knowsParents ? processes.map(({ parent }) => parent?.pid) : [],
      stolen: processes.filter((process) => isStolen(process, this.machine)).map(({ id }) => id),
      strangers: processes
        .flatMap(relativesOf)
        .filter(({ pid, id }) => this.table.living.get(pid)?.id !== id),
      within: watches.map(({ id }) =>
        processes.filter(({ portrait }) => portrait.isWithin(id)).map(({ pid }) => pid),
      ),
    };
    const truth = {
      faults: [],
      told: this.#ids.toSorted(),
      processes: beings.map((being) => truthOf(being, this.table.living.get(being.pid))),
      parents: knowsParents ? beings.map(({ parent }) => parent?.pid) : [],
      stolen: [],
      strangers: [],
      within: watches.map(({ root }) => beings.filter((one) => one.within.has(root)).map(({ pid }) => pid)),
    };
    return { known, truth };
  }
}

function descendsFromItself(process: Process): boolean {
  const above = new Set<Process>();
  let next: Process | undefined = process;
  while (next !== undefined && !above.has(next)) {
    above.add(next);
    next = next.parent;
  }
  return next !== undefined;
}

function inOrder<T>(living: ReadonlyMap<number, T>): T[] {
  return [...living].toSorted(([a], [b]) => a - b).map(([, one]) => one);
}

function relativesOf({ parent, children }: Process): Process[] {
  return parent === undefined ? [...children] : [parent, ...children];
}

/** Whether somebody is taken for who began a program, and is not; to root nothing is a secret. */
function isStolen({ pid, facts: { begunBy = 0 } }: Process, { living }: ModelMachine): boolean {
  return begunBy !== 0 && begunBy !== living.get(pid)?.begunBy;
}

function isOf({ startTime }: Pick<Process, 'startTime'>, being: Being): boolean {
  const difference = startTime - being.startTime;
  return difference < precision && difference > -precision;
}

/** What can be compared of a process. */
function factsOf({ pid, facts }: Process): object {
  const { comm, exe, args, uid, euid, gid, egid, sid, tty } = facts;
  return { pid, uid, euid, gid, egid, sid, tty, comm, exe, args };
}

/** What has to be known of a process; of the program that it runs, it may be known by chance. */
function truthOf({ pid, facts, program, names }: Being, process: Process | undefined): object {
  const { comm, exe, args, uid, euid, gid, egid, sid, tty } = facts;
  const ids = { pid, uid, euid, gid, egid, sid, tty };
  if (program === 'guessed') {
    const known = process?.facts;
    return { ...ids, comm: known?.comm, exe: known?.exe, args: known?.args };
  }
  if (program !== 'gone' || process?.facts.detail === 'complete') return { ...ids, comm, exe, args };
  const name = names.find((one) => one === process?.facts.comm) ?? names.join(' or ');
  return { ...ids, comm: name, exe: undefined, args: undefined };
}
