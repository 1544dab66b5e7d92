/*
 * A machine that is made up: it always knows the truth, tells its events as the kernel does, and
 * answers as /proc does, with what is true now, however old the event is that somebody asks about.
 * All texts of a program say who has begun it, as in `@by1`.
 *
 * Pids are few, so that they are given anew all the time; but never within 30 ms, as /proc tells
 * starts to 10 ms.
 */
import type { KernelEvent } from '@procbus/protocol';
import * as fc from 'fast-check';
import type { FoundProcess } from '../../src/processes/facts.ts';
import type { Facts, Image } from '../../src/processes/process.ts';
import type { Proc } from '../../src/processes/process-table.ts';

/** What processes do; threads do some of it as well. */
const verbs = [
  'fork',
  'exec',
  'exit',
  'uid',
  'gid',
  'sid',
  'comm',
  'become a subreaper',
  'fork a thread',
  'end a thread',
  'name a thread',
] as const;

/** Something that a process does. */
export interface Deed {
  readonly verb: (typeof verbs)[number];
  /** Which of the living does it, and what: to be taken modulo what there is. */
  readonly who: number;
  readonly what: number;
  /** ns since the deed before. */
  readonly pause: bigint;
}

/** Any deed; forks, execs and exits are the most frequent. */
export const deed: fc.Arbitrary<Deed> = fc.record({
  verb: fc.constantFrom(...verbs, 'fork', 'fork', 'fork', 'fork', 'exec', 'exec', 'exit', 'exit', 'exit'),
  who: fc.nat({ max: 1000 }),
  what: fc.nat({ max: 1000 }),
  pause: fc.bigInt({ min: 1n, max: 9_000_000n }),
});

/** A process of the machine. */
export interface Being {
  readonly pid: number;
  readonly startTime: bigint;
  /** The one that it is a child of now; undefined for init. */
  parent: Being | undefined;
  facts: Facts;
  /** The real user who began its program. */
  begunBy: number;
  /** When it did so. */
  execTime: bigint;
  /** Whether its effective user may look into it. */
  isDumpable: boolean;
  /**
   * What somebody who follows all events can know of its program: all of it, if late; the name of this or
   * an earlier one; nothing for certain, as what was read late may already be another program.
   */
  program: 'read' | 'read late' | 'gone' | 'guessed';
  /** What such a one may take for its name. */
  names: readonly string[];
  isSubreaper: boolean;
  threads: number[];
  /** The watched roots that it descends from; see {@link ModelMachine.watch}. */
  within: ReadonlySet<Being>;
}

const ms = 1_000_000n;
/** The clocks of /proc and of events differ by some ns. */
const phase = 3_456_789n;

export class ModelMachine implements Proc {
  readonly living: Map<number, Being> = new Map();
  /** Far ahead of any real clock, as what is found after a loss has the time of the finding. */
  now: bigint = 1_000_000_000_000n * ms;
  /** Whether the pids of those that have ended are given anew. */
  reusesPids = true;
  readonly isSecretive: boolean;
  readonly #init: Being;
  readonly #tell: (event: KernelEvent, being: Being) => void;
  readonly #pids: number;
  /** When the last owner of each free pid ended: those of zombies are listed as well. */
  readonly #endTimes = new Map<number, bigint>();
  /** Gives what is read of each exec, by its own time; undefined where it is read when asked for. */
  readonly #images = new Map<bigint, () => Image | undefined>();
  #nextTid = 1000;

  /**
   * @param tell - told each event when it happens
   * @param isSecretive - whether users other than root are hidden; then there are no subreapers, as
   *   nobody could find out about them
   */
  constructor(tell: (event: KernelEvent, being: Being) => void, pids: number, isSecretive: boolean) {
    this.#tell = tell;
    this.#pids = pids;
    this.isSecretive = isSecretive;
    const facts: Facts = { ...imageOf('init', 0), uid: 0, euid: 0, gid: 0, egid: 0, sid: 1, tty: 7 };
    this.#init = this.#born(1, undefined, facts);
  }

  /** Has somebody do something, where it is possible. */
  act({ verb, who, what, pause }: Deed): void {
    this.now += pause;
    const being = [...this.living.values()][who % this.living.size] as Being;
    const tid = being.threads[what % Math.max(1, being.threads.length)];
    switch (verb) {
      case 'fork':
        return this.#fork(being, what);
      case 'exec':
        return this.#exec(being, what);
      case 'exit':
        return being === this.#init ? undefined : this.#exit(being, what);
      case 'uid':
      case 'gid': {
        const { uid } = being.facts;
        // As setuid(2) leaves no way back, only who has begun a program may act for somebody else in it.
        const isActing = what % 4 === 0 && uid === being.begunBy;
        const [real, effective] = [isActing && verb === 'uid' ? uid : what % 3, what % 3];
        const ids = verb === 'uid' ? { uid: real, euid: effective } : { gid: real, egid: effective };
        if (verb === 'uid') being.isDumpable &&= effective === being.facts.euid;
        return this.#change(being, ids, { type: verb, ...ids });
      }
      case 'sid':
        return this.#change(being, { sid: being.pid, tty: 0 }, { type: 'sid' });
      case 'comm': {
        const comm = `@by${being.begunBy}-name${what % 5}`;
        being.names = [comm];
        return this.#change(being, { comm }, { type: 'comm', comm });
      }
      case 'become a subreaper':
        being.isSubreaper = !this.isSecretive;
        return;
      case 'fork a thread': {
        const { pid, parent } = being;
        being.threads.push(++this.#nextTid);
        const ppid = parent?.pid ?? 0;
        return this.#say(being, { type: 'fork', pid, tid: this.#nextTid, ppid, ptid: ppid });
      }
      case 'end a thread':
        if (tid !== undefined) this.#endThreads(being, [tid]);
        return;
      case 'name a thread':
        if (tid !== undefined) this.#say(being, { type: 'comm', tid, comm: `@by${being.begunBy}-thread` });
    }
  }

  /** Watches a subtree: the root, those below it now, and from then on all that they fork. */
  watch(root: Being): void {
    for (const being of this.living.values()) {
      let above: Being | undefined = being;
      while (above !== undefined && above !== root) above = above.parent;
      if (above === root) being.within = new Set(being.within).add(root);
    }
  }

  unwatch(root: Being): void {
    for (const being of this.living.values()) {
      being.within = new Set([...being.within].filter((one) => one !== root));
    }
  }

  #fork(parent: Being, what: number): void {
    const free = Array.from({ length: this.#pids }, (_, index) => index + 2).filter(
      (pid) => !this.living.has(pid) && (this.reusesPids || !this.#endTimes.has(pid)),
    );
    const pid = free[what % Math.max(1, free.length)];
    if (pid === undefined) return;
    const earliest = (this.#endTimes.get(pid) ?? 0n) + 30n * ms;
    if (this.now < earliest) this.now = earliest;
    const child = this.#born(pid, parent, parent.facts);
    this.#say(child, { type: 'fork', ppid: parent.pid, ptid: parent.pid });
  }

  #born(pid: number, parent: Being | undefined, facts: Facts): Being {
    const { names, within } = parent ?? { names: ['@by0-init'], within: new Set<Being>() };
    const program = parent?.program === 'read late' ? 'guessed' : (parent?.program ?? 'read');
    const { begunBy, isDumpable } = parent ?? { begunBy: 0, isDumpable: true };
    const life = { parent, facts, begunBy, isDumpable, execTime: this.now, isSubreaper: false, threads: [] };
    const being: Being = { pid, startTime: this.now, program, names, within, ...life };
    this.living.set(pid, being);
    return being;
  }

  /** Where there are threads, it may be one of them that calls exec: it becomes the main thread. */
  #exec(being: Being, what: number): void {
    this.#endThreads(being, being.threads.slice(1));
    being.threads = [];
    const { uid, euid } = being.facts;
    const image = imageOf(`program${what % 4}`, uid);
    being.facts = { ...being.facts, ...image };
    being.begunBy = uid;
    being.isDumpable = uid === euid;
    const isGone = what % 5 === 1 || this.#isHiding(being);
    const isLate = what % 5 === 0 && !this.isSecretive;
    // It may change its user, but not begin another program, before that is read, too.
    const isSlow = what % 5 === 2;
    const begun = this.now;
    being.execTime = begun;
    const read = (): Image => ({ ...image, begunBy: isSlow ? userOf(being, begun) : uid });
    this.#images.set(this.now, isGone ? () => gone : isLate ? () => undefined : read);
    if (!isGone) being.program = isLate ? 'read late' : 'read';
    else being.program = being.program === 'read' || being.program === 'gone' ? 'gone' : 'guessed';
    being.names = isGone ? [...being.names, image.comm] : [image.comm];
    this.#say(being, { type: 'exec' });
  }

  /** Of a process with threads, the main thread need not be the last to end, and others may go on for a while. */
  #exit(being: Being, what: number): void {
    const { pid, parent, threads } = being;
    this.#endThreads(being, threads.slice(what % 3));
    this.#say(being, { type: 'exit', status: what, ppid: parent?.pid ?? 0 });
    if (being.threads.length > 1) this.#fork(being, what);
    this.#endThreads(being, being.threads);
    this.living.delete(pid);
    this.#endTimes.set(pid, this.now);
    for (const child of this.living.values()) {
      if (child.parent === being) child.parent = this.#reaperOf(being);
    }
  }

  #reaperOf({ parent }: Being): Being {
    let reaper = parent;
    while (reaper !== undefined && !reaper.isSubreaper) reaper = reaper.parent;
    return reaper ?? this.#init;
  }

  #endThreads(being: Being, tids: readonly number[]): void {
    being.threads = being.threads.filter((tid) => !tids.includes(tid));
    for (const tid of tids) this.#say(being, { type: 'exit', tid, status: 0, ppid: 0 });
  }

  #change(being: Being, changed: Partial<Facts>, event: Partial<KernelEvent>): void {
    being.facts = { ...being.facts, ...changed };
    this.#say(being, event);
  }

  #say(being: Being, event: Partial<KernelEvent>): void {
    const { pid } = being;
    this.#tell({ kernelTime: this.now, cpu: 0, pid, tid: pid, ...event } as KernelEvent, being);
    this.now += 1n;
  }

  #isHiding(being: Being): boolean {
    return this.isSecretive && being.facts.uid !== 0 && being !== this.#init;
  }

  #visible(pid: number): Being | undefined {
    const being = this.living.get(pid);
    return being === undefined || this.#isHiding(being) ? undefined : being;
  }

  listPids(): number[] {
    const visible = [...this.living.keys()].filter((pid) => !this.isHidden(pid));
    return [...new Set([...visible, ...this.#endTimes.keys()])];
  }

  readProcess(pid: number): FoundProcess | undefined {
    const being = this.#visible(pid);
    if (being === undefined) return undefined;
    const startTime = being.startTime - ((being.startTime + phase) % (10n * ms));
    const facts = { ...being.facts, begunBy: vouchedFor(being) };
    return { startTime, ppid: being.parent?.pid ?? 0, facts, readAt: this.now };
  }

  parentOf(pid: number): number | undefined {
    return this.#visible(pid)?.parent?.pid;
  }

  isHidden(pid: number): boolean {
    return this.living.has(pid) && this.#visible(pid) === undefined;
  }

  imageOf({ pid, kernelTime }: KernelEvent): Image {
    const read = this.#images.get(kernelTime)?.();
    const being = this.#visible(pid);
    if (read !== undefined || being === undefined) return read ?? gone;
    const { comm, exe, args, cwd, detail } = being.facts;
    return { comm, exe, args, cwd, detail, begunBy: vouchedFor(being) };
  }
}

const gone: Image = { comm: '', exe: undefined, args: undefined, cwd: undefined, detail: 'gone' };

function imageOf(program: string, uid: number): Image {
  const comm = `@by${uid}-${program}`;
  return {
    comm,
    exe: `/bin/${comm}`,
    args: [comm, `-x @by${uid}`],
    cwd: `/home/@by${uid}`,
    detail: 'complete',
  };
}

/** Who has begun the program of a process at a time, as it looks a moment later. */
function userOf(being: Being, begun: bigint): number | undefined {
  const { uid, euid } = being.facts;
  if (being.execTime !== begun) return undefined;
  return uid === euid ? vouchedFor(being) : uid;
}

/** Who has begun the program of a process, as far as the owner of its files in /proc says so. */
function vouchedFor({ facts: { uid, euid }, isDumpable }: Being): number | undefined {
  const owner = isDumpable ? euid : 0;
  return owner === uid ? uid : undefined;
}
