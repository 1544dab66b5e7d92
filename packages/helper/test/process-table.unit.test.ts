/*
 * The process table against a machine that always knows the truth, over histories of all kinds.
 */
import type { KernelEvent } from '@procbus/protocol';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Process } from '../src/processes/process.ts';
import { ProcessTable } from '../src/processes/process-table.ts';
import { Reconciler } from '../src/processes/reconciler.ts';
import type { Told } from '../src/processes/told.ts';
import { deed, ModelMachine, type Being, type Deed } from './support/model-machine.ts';

/** /proc tells a start to 10 ms, and by another clock. */
const precision = 20_000_000n;
/** So long after its last owner ended a pid may be another's. */
const pidRest = 30_000_000n;

interface Waiting {
  readonly event: KernelEvent;
  readonly being: Being;
  readonly isLost: boolean;
}

interface Setting {
  readonly pids: number;
  readonly isSecretive: boolean;
}

/** A machine, a table that follows it, and somebody who is told everything. */
class History {
  readonly machine: ModelMachine;
  readonly table: ProcessTable;
  /** What is wrong with what was told. */
  readonly faults: string[] = [];
  /** Ids of those that live, as far as one knows who was only told events. */
  #present = new Set<string>();
  #ever = new Set<string>();
  readonly #watches: { root: Being; id: string; end: (marked: Iterable<Process>) => void }[] = [];
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
   */
  constructor({ pids, isSecretive }: Setting, before: readonly Deed[], unscanned: readonly Deed[]) {
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
      this.#hear(told, new Map()),
    );
    // Who is hidden, and was there before, is not known for want of events.
    if (!isSecretive) this.act(before);
    this.#waiting = [];
    this.act(unscanned);
    this.table.scan();
    // Nobody is told of what was before.
    for (const _ of this.table.follow(this.#waiting.splice(0).map(({ event }) => event)));
    this.#present = new Set(this.ids);
    this.#ever = new Set(this.ids);
  }

  get ids(): string[] {
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
    this.#hear(this.table.follow(beings.keys()), beings);
    if (!lossless) this.#reconciler.schedule();
  }

  /** Looks at /proc, again if events are lost meanwhile. */
  look(ahead: readonly Deed[], behind: readonly Deed[]): void {
    this.#meanwhile = [ahead, behind];
    this.#reconciler.schedule();
    while (vi.getTimerCount() > 0) vi.advanceTimersToNextTimer();
  }

  /** Asks for the process of a pid, as one does who has just caught up with the kernel. */
  ask(pid: number): void {
    const oldest = this.#waiting[0]?.event.kernelTime ?? this.machine.now;
    if (this.machine.now - oldest > pidRest) this.deliver();
    this.table.get(pid);
  }

  watch(who: number): void {
    this.deliver();
    const root = [...this.machine.living.values()][who % this.machine.living.size] as Being;
    const process = this.table.get(root.pid) as Process;
    const end = this.table.subtrees.watch(process.id, process);
    this.#watches.push({ root, id: process.id, end });
    this.machine.watch(root);
  }

  unwatch(which: number): void {
    const [watch] = this.#watches.splice(which % Math.max(1, this.#watches.length), 1);
    watch?.end(this.table.all());
  }

  #hear(events: Iterable<Told>, beings: ReadonlyMap<KernelEvent, Being>): void {
    for (const { event, process } of events) {
      const { type, pid, tid } = event;
      const being = beings.get(event);
      const fault = (what: string): unknown => this.faults.push(`${type} of ${process.id}, ${tid}: ${what}`);
      if (process.pid !== pid) fault(`the event is one of ${pid}`);
      if (this.#isLossless && (being === undefined || event.synthetic === true)) fault('it is made up');
      if (this.#isLossless && being !== undefined && !isOf(process, being)) fault('it is of another process');
      if (pid !== tid) continue;
      if (type === 'fork') {
        if (this.#ever.has(process.id)) fault('it was there already');
        this.#ever.add(process.id);
        this.#present.add(process.id);
      }
      if (type === 'exit' && !this.#present.delete(process.id)) fault('it was not there');
    }
  }

  /** Delivers what waits; then all has to be as it is. */
  expectTruth(): void {
    this.deliver();
    expect(this.faults).toEqual([]);
    expect([...this.#present].sort()).toEqual(this.ids.sort());
    const processes = [...this.table.living.values()].sort((a, b) => a.pid - b.pid);
    const beings = [...this.machine.living.values()].sort((a, b) => a.pid - b.pid);
    expect(processes.map(({ pid }) => pid)).toEqual(beings.map(({ pid }) => pid));
    expect(processes.map(shown)).toEqual(beings.map((being) => shownOf(being, this.table.get(being.pid))));
    for (const { root, id } of this.#watches) {
      const within = processes.filter((process) => process.isWithin(id)).map(({ pid }) => pid);
      expect(within).toEqual(beings.filter((being) => being.within.has(root)).map(({ pid }) => pid));
    }
    for (const { parent, children } of processes) {
      const relatives = parent === undefined ? [...children] : [parent, ...children];
      for (const relative of relatives) expect(this.table.living.get(relative.pid)).toBe(relative);
    }
  }
}

function isOf({ startTime }: Process, being: Being): boolean {
  const difference = startTime - being.startTime;
  return difference < precision && difference > -precision;
}

/** What can be compared of a process. */
function shown({ pid, parent, facts }: Process): object {
  const { comm, exe, args, uid, euid, gid, egid, sid, tty } = facts;
  return { pid, ppid: parent?.pid, uid, euid, gid, egid, sid, tty, comm, exe, args };
}

/** What has to be shown of a process; it depends on what could be read of the program that it runs. */
function shownOf({ pid, parent, facts, isRead, names }: Being, process: Process | undefined): object {
  const { comm, exe, args, uid, euid, gid, egid, sid, tty } = facts;
  const program = { pid, ppid: parent?.pid, uid, euid, gid, egid, sid, tty };
  if (isRead || process?.facts.detail === 'complete') return { ...program, comm, exe, args };
  const name = names.find((one) => one === process?.comm) ?? names.join(' or ');
  return { ...program, comm: name, exe: undefined, args: undefined };
}

const deeds = (maxLength: number) => fc.array(deed, { maxLength });
const setting = fc.record({ pids: fc.constantFrom(3, 6, 12), isSecretive: fc.boolean() });
const start = fc.tuple(setting, deeds(12), deeds(12));

const delivery = fc.record({ kind: fc.constant('deliver'), count: fc.nat({ max: 12 }) });
const acting = fc.record({ kind: fc.constant('act'), deed });
const asking = fc.record({ kind: fc.constant('ask'), pid: fc.integer({ min: 1, max: 14 }) });
const watching = fc.record({ kind: fc.constantFrom('watch', 'unwatch'), which: fc.nat({ max: 1000 }) });

/** Whatever happens, without loss. */
const lossless = fc.oneof(
  { weight: 12, arbitrary: acting },
  { weight: 3, arbitrary: delivery },
  { weight: 2, arbitrary: asking },
  { weight: 1, arbitrary: watching },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('check') }) },
);

describe('the table', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('is true once all events are applied, and so is what was told of them', () => {
    fc.assert(
      fc.property(start, fc.array(lossless, { maxLength: 120 }), (begin, steps) => {
        const history = new History(...begin);
        history.expectTruth();
        for (const step of steps) {
          if ('deed' in step) history.act([step.deed]);
          else if ('count' in step) history.deliver(step.count);
          else if ('pid' in step) history.ask(step.pid);
          else if (step.kind === 'watch') history.watch(step.which);
          else if (step.kind === 'unwatch') history.unwatch(step.which);
          else history.expectTruth();
        }
        history.expectTruth();
      }),
      { numRuns: 1000 },
    );
  });
});
