/*
 * A process as the helper knows it.
 *
 * Who it is (pid and start) never changes; what is known of it is a value that is replaced as a
 * whole, so that an event keeps the facts of its own moment.
 */
import type { Detail } from '@procbus/protocol';
import { chainLimit, Portrait, type Link } from './portrait.ts';
import type { Ids } from './procfs.ts';

/** What an exec changes. */
export interface Image {
  /** Empty where it is not known. */
  readonly comm: string;
  readonly exe?: string | undefined;
  readonly args?: readonly string[] | undefined;
  readonly argsTruncated?: true | undefined;
  readonly cwd?: string | undefined;
  readonly cgroup?: string | undefined;
  readonly container?: string | undefined;
  /**
   * The real user who began the program; undefined where that is not certain. After a setuid without an
   * exec it is not the present one's, and neither are its arguments.
   */
  readonly begunBy?: number | undefined;
  /** How far all this could be read. */
  readonly detail: Detail;
}

/** What can change in the life of a process. Processes share it from fork to exec. */
export interface Facts extends Image, Ids {
  readonly sid: number;
  /** Device number of the controlling terminal; 0 for none. */
  readonly tty: number;
}

const noSubtrees: ReadonlySet<string> = new Set();
const noChildren: readonly Process[] = [];

/** A process from its birth, or from when the helper first met it, until it is forgotten. */
export class Process {
  /** Pid and start: no other process of this run of the helper has the same. */
  readonly id: string;
  readonly pid: number;
  /** ns of CLOCK_MONOTONIC; for those that are older than the helper, exact to 10 ms. */
  readonly startTime: bigint;
  #facts: Facts;
  /** When /proc told its facts, in ns of CLOCK_MONOTONIC; 0 for never. Events from before are part of these. */
  readAt = 0n;
  /** Whether events were lost since its facts were known for certain: it may be another user's by now. */
  isInDoubt = false;
  /** The parent as it is now; children get another one when theirs ends. */
  parent: Process | undefined;
  /** Ids of the watched processes that it is or descends from, by fork; passed on to its children as it is. */
  subtrees: ReadonlySet<string> = noSubtrees;
  /** ns of CLOCK_MONOTONIC; undefined while it lives. */
  endTime: bigint | undefined;
  /** Its wait status, once it has ended; undefined where nobody saw it end. */
  status: number | undefined;
  /** The children, each with its neighbours: a set would grow and shrink with every one that ends at once. */
  #child: Process | undefined;
  #next: Process | undefined;
  #previous: Process | undefined;
  #portrait: Portrait | undefined;
  #link: Link | undefined;
  /** What {@link changes} was when its chain was looked at last. */
  #linkedAt = -1;

  constructor(pid: number, startTime: bigint, facts: Facts) {
    this.id = `${pid}.${startTime.toString(36)}`;
    this.pid = pid;
    this.startTime = startTime;
    this.#facts = facts;
  }

  get facts(): Facts {
    return this.#facts;
  }

  set facts(facts: Facts) {
    this.#facts = facts;
    this.#unlink();
  }

  /** Makes it a child of another one, and no longer of the one before. */
  adoptBy(parent: Process | undefined): void {
    this.leaveParent();
    this.parent = parent;
    this.#unlink();
    if (parent === undefined) return;
    this.#next = parent.#child;
    if (this.#next !== undefined) this.#next.#previous = this;
    parent.#child = this;
  }

  /** Makes it no child of its parent any more, which it still knows. */
  leaveParent(): void {
    const { parent } = this;
    const next = this.#next;
    const previous = this.#previous;
    if (next !== undefined) next.#previous = previous;
    if (previous !== undefined) previous.#next = next;
    else if (parent !== undefined && parent.#child === this) parent.#child = next;
    this.#next = undefined;
    this.#previous = undefined;
  }

  /** Its children, as they are now. */
  get children(): readonly Process[] {
    if (this.#child === undefined) return noChildren;
    const children: Process[] = [];
    for (let child: Process | undefined = this.#child; child !== undefined; child = child.#next) {
      children.push(child);
    }
    return children;
  }

  /** Seconds from its start to some time in its life. */
  age(kernelTime: bigint): number {
    return Math.max(0, Number(kernelTime - this.startTime) / 1e9);
  }

  /** It, as it is now. The same one as long as nothing changes. */
  get portrait(): Portrait {
    const { facts, subtrees } = this;
    const parent = this.parent?.chain;
    const known = this.#portrait;
    if (
      known !== undefined &&
      known.facts === facts &&
      known.subtrees === subtrees &&
      known.parent === parent
    ) {
      return known;
    }
    this.#portrait = new Portrait(this, facts, subtrees, parent);
    return this.#portrait;
  }

  /** The chain from it up. Those above come first, as a link knows its next; most are as they were. */
  get chain(): Link {
    if (this.#linkedAt !== changes) {
      this.#link = linkTo(this);
      this.#linkedAt = changes;
    }
    return this.#link as Link;
  }

  /** Something of it has changed that its own chain tells, and with it those of all below. */
  #unlink(): void {
    this.#linkedAt = -1;
    if (this.#child !== undefined) changes++;
  }

  /**
   * What those below tell of it.
   *
   * @param up - the same of its parent; where that is too far up to be told, whatever it was the last time
   */
  link(up: Link | undefined, isLast: boolean): Link {
    const { id, pid } = this;
    const { comm, detail, uid, begunBy } = this.facts;
    const known = this.#link;
    if (
      known !== undefined &&
      (known.up === up || isLast) &&
      known.comm === comm &&
      known.uid === uid &&
      known.begunBy === begunBy &&
      known.detail === detail
    ) {
      return known;
    }
    this.#link = { id, pid, comm, detail, uid, begunBy, up };
    return this.#link;
  }
}

/** How often something has changed of a process that has children: until then, all chains are as they were. */
let changes = 0;

/** Used again and again. */
const chain: Process[] = [];

function linkTo(process: Process): Link {
  let length = 0;
  let above: Process | undefined = process;
  for (; above !== undefined && length < chainLimit; above = above.parent) chain[length++] = above;
  const isCut = above !== undefined;
  let link: Link | undefined;
  for (let at = length - 1; at >= 0; at--) {
    link = (chain[at] as Process).link(link, isCut && at === length - 1);
  }
  return link as Link;
}
