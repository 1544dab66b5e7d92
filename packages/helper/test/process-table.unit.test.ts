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

interface Waiting {
  readonly event: KernelEvent;
  readonly being: Being;
  readonly isLost: boolean;
}

interface Setting {
  readonly pids: number;
  readonly isSecretive: boolean;
}

/** What happens in a history. */
type Step =
  | { readonly kind: 'act' | 'lose'; readonly deed: Deed }
  | { readonly kind: 'deliver'; readonly count: number }
  | { readonly kind: 'look'; readonly ahead: readonly Deed[]; readonly behind: readonly Deed[] }
  | { readonly kind: 'watch' | 'unwatch'; readonly which: number };

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
    // No pid comes round again within the few ms until the scan.
    this.machine.reusesPids = false;
    if (!isSecretive) this.act(unscanned);
    this.machine.reusesPids = true;
    this.table.scan();
    // Nobody is told of what was before.
    for (const _ of this.table.follow(this.#waiting.splice(0).map(({ event }) => event)));
    this.#present = new Set(this.ids);
    this.#ever = new Set(this.ids);
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
    this.#isLossless = false;
    this.#reconciler.schedule();
    while (vi.getTimerCount() > 0) vi.advanceTimersToNextTimer();
  }

  watch(who: number): void {
    this.deliver();
    const root = [...this.machine.living.values()][who % this.machine.living.size] as Being;
    const process = this.table.living.get(root.pid);
    if (process === undefined) return;
    const end = this.table.subtrees.watch(process.id, process);
    this.#watches.push({ root, id: process.id, end });
    this.machine.watch(root);
  }

  unwatch(which: number): void {
    const [watch] = this.#watches.splice(which % Math.max(1, this.#watches.length), 1);
    if (watch === undefined) return;
    watch.end(this.table.all());
    if (!this.#watches.some(({ root }) => root === watch.root)) this.machine.unwatch(watch.root);
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
    // Who is hidden, and was lost, cannot be found again.
    const isOpen = (pid: number): boolean => this.#isLossless || !this.machine.isHidden(pid);
    const processes = inOrder(this.table.living).filter(({ pid }) => isOpen(pid));
    const beings = inOrder(this.machine.living).filter(({ pid }) => isOpen(pid));
    expect(processes.map(({ pid }) => pid)).toEqual(beings.map(({ pid }) => pid));
    expect(processes.map(factsOf)).toEqual(beings.map((being, index) => truthOf(being, processes[index])));
    for (const { pid, parent, children } of processes) {
      const relatives = parent === undefined ? [...children] : [parent, ...children];
      for (const relative of relatives) expect(this.table.living.get(relative.pid)).toBe(relative);
      if (!this.#isLossless && this.machine.isSecretive) continue;
      expect(parent?.pid).toBe(this.machine.living.get(pid)?.parent?.pid);
    }
    // After a loss it may not be known who has forked whom.
    if (!this.#isLossless) return;
    for (const { root, id } of this.#watches) {
      const within = processes.filter((process) => process.isWithin(id)).map(({ pid }) => pid);
      expect(within).toEqual(beings.filter((being) => being.within.has(root)).map(({ pid }) => pid));
    }
  }
}

function inOrder<T>(living: ReadonlyMap<number, T>): T[] {
  return [...living].sort(([a], [b]) => a - b).map(([, one]) => one);
}

function isOf({ startTime }: Process, being: Being): boolean {
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
  if (program === 'guessed') return { ...ids, comm: process?.comm, exe: process?.exe, args: process?.args };
  if (program !== 'gone' || process?.facts.detail === 'complete') return { ...ids, comm, exe, args };
  const name = names.find((one) => one === process?.comm) ?? names.join(' or ');
  return { ...ids, comm: name, exe: undefined, args: undefined };
}

const deeds = (maxLength: number) => fc.array(deed, { maxLength });
const setting = fc.record({ pids: fc.constantFrom(3, 6, 12), isSecretive: fc.boolean() });
const start = fc.tuple(setting, deeds(12), deeds(12));

const delivery = fc.record({ kind: fc.constant('deliver' as const), count: fc.nat({ max: 12 }) });
const acting = fc.record({ kind: fc.constant('act' as const), deed });
const watching = fc.record({
  kind: fc.constantFrom('watch' as const, 'unwatch' as const),
  which: fc.nat({ max: 1000 }),
});
/** What is done between the look and the catching up, and behind. */
const looking = fc.record({ kind: fc.constant('look' as const), ahead: deeds(6), behind: deeds(6) });

/** Whatever happens, without loss. */
const lossless = fc.oneof(
  { weight: 12, arbitrary: acting },
  { weight: 3, arbitrary: delivery },
  { weight: 1, arbitrary: watching },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('check' as const) }) },
);

/** Whatever happens, where the kernel drops some of its events. */
const lossy = fc.oneof(
  { weight: 12, arbitrary: acting },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('lose' as const), deed }) },
  { weight: 3, arbitrary: delivery },
  { weight: 1, arbitrary: watching },
  { weight: 1, arbitrary: looking },
);

describe('the process table', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('is true once all events are applied, and so are subtrees and what was told', () => {
    fc.assert(
      fc.property(start, fc.array(lossless, { maxLength: 150, size: 'max' }), (begin, steps) => {
        const history = new History(...begin);
        history.expectTruth();
        for (const step of steps) {
          if (step.kind === 'check') history.expectTruth();
          else history.take(step);
        }
        history.expectTruth();
      }),
      { numRuns: 500 },
    );
  });

  test('is true again after a loss once /proc was looked at, and so is what was told', () => {
    const steps = fc.array(lossy, { maxLength: 100, size: 'max' });
    fc.assert(
      fc.property(start, steps, looking, (begin, steps, look) => {
        const history = new History(...begin);
        for (const step of steps) history.take(step);
        history.take(look);
        // Whoever came out of hiding since the look was not seen by it.
        if (history.machine.isSecretive) history.look([], []);
        history.expectTruth();
      }),
      { numRuns: 8000 },
    );
  });

  test('keeps nothing of those that it forgets', () => {
    fc.assert(
      fc.property(fc.array(deed, { minLength: 500, maxLength: 500 }), (deeds) => {
        const { history, machine, table } = begun(200);
        for (let round = 0; round < 20; round++) {
          history.act(deeds);
          history.deliver();
          machine.now += 10_000_000_000n;
        }
        history.expectTruth();
        machine.now += 180_000_000_000n;
        const since = machine.now;
        end(history, 1024);
        history.expectTruth();
        expect(table.size.ended).toBeLessThanOrEqual(2 * 1024);
        for (const { endTime = 0n } of table.endedBefore(machine.now)) expect(endTime).toBeGreaterThan(since);
      }),
      { numRuns: 5 },
    );
  });

  test('remembers no more than it can in a storm', () => {
    const { history, machine, table } = begun(600);
    for (let round = 0; round < 30; round++) {
      end(history, 1000);
      history.deliver();
      expect(table.size.ended).toBeLessThanOrEqual(20_000);
    }
    expect(table.endedBefore(machine.now)).toHaveLength(10_000);
    expect(history.faults).toEqual([]);
  });

  test('marks a subtree while it looks as if processes descended from each other', () => {
    const { history, table } = begun(3);
    // Each the child of the one before: 2, 3 and 4.
    for (const who of [0, 1, 2]) history.act([does('fork', who)]);
    history.deliver();
    // 2 and 3 end, and 4 forks another 3; of which the table learns only that 2 has ended.
    history.act([does('exit', 1), does('exit', 1), does('fork', 1, 1)]);
    history.deliver(1);
    const [three, four] = [table.living.get(3), table.living.get(4)];
    expect([three?.parent, four?.parent]).toEqual([four, three]);
    table.subtrees.watch(three?.id ?? '', three);
    expect(four?.isWithin(three?.id ?? '')).toBe(true);
    history.expectTruth();
  });
});

function begun(pids: number): { history: History; machine: ModelMachine; table: ProcessTable } {
  const history = new History({ pids, isSecretive: false }, [], []);
  return { history, machine: history.machine, table: history.table };
}

function does(verb: Deed['verb'], who: number, what = 0): Deed {
  return { verb, who, what, pause: 1n };
}

/** Has so many processes begin, and end again. */
function end(history: History, count: number): void {
  for (let what = 0; what < count; what++) {
    const last = history.machine.living.size;
    history.act([does('fork', 0, what)]);
    if (history.machine.living.size > last) history.act([does('exit', last)]);
    else history.act([does('exit', 1)]);
  }
}
