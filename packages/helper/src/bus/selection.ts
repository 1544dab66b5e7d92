/*
 * A filter in the eyes of one who asks: what it lets through of what they may see, and how that is told.
 */
import {
  matchesProcess,
  parseFilter,
  wantsEvent,
  type EventWriter,
  type Filter,
  type FilterRequest,
  type Grant,
  type Include,
  type WireProcess,
} from '@procbus/protocol';
import type { Told } from '../processes/told.ts';
import { PackedProcesses } from './packed-processes.ts';
import { Patterns, withoutPatterns } from './patterns.ts';
import {
  eventOf,
  isOwn,
  isShown,
  lensOf,
  lifeOf,
  pastSubjectOf,
  recordOf,
  subjectOf,
  toldParentOf,
  type Lens,
  type Standing,
} from './view.ts';

/** Who asks, and what they may see. */
export interface Asker {
  readonly uid: number;
  readonly grant: Grant;
}

export class Selection {
  readonly filter: Filter;
  readonly lens: Lens;
  /** The filter as it was asked for, with processes in the place of pids. */
  readonly request: FilterRequest;
  /** For each pid of a subtree the process that it stands for. */
  readonly roots: Readonly<Record<string, string>>;
  /** The roots of all subtrees that it asks for. */
  readonly subtrees: readonly string[];
  /** Equal selections have equal keys. */
  readonly key: string;
  readonly #packed: PackedProcesses;
  readonly #patterns: Patterns;
  /** All conditions but the patterns. */
  readonly #rest: Filter;
  /** Whether it has no conditions at all. */
  readonly #isOpen: boolean;

  /** @param request - checked, and bound */
  constructor(
    request: FilterRequest,
    { uid, grant }: Asker,
    always: readonly Include[],
    roots: Readonly<Record<string, string>>,
  ) {
    const filter = parseFilter(request);
    this.request = request;
    this.filter = filter;
    this.#patterns = new Patterns(filter);
    this.#rest = withoutPatterns(filter);
    this.#isOpen = filter.where.length + filter.not.length === 0;
    this.lens = lensOf(grant, uid, [...always, ...filter.include]);
    this.#packed = new PackedProcesses(this.lens);
    this.roots = roots;
    this.subtrees = subtreesOf(filter);
    const { owner, events, names } = this.lens;
    this.key = JSON.stringify([filter.key, owner ?? null, [...events], names, [...this.lens.include]]);
  }

  /** Tells an event, where it lets it through. */
  show(writer: EventWriter, seq: number, told: Told): void {
    if (this.#letsThrough(told, subjectOf)) this.#write(writer, seq, told);
  }

  /**
   * Tells an event of the past, where it lets it through.
   *
   * @param marked - since which number somebody has watched a subtree
   */
  showPast(writer: EventWriter, seq: number, told: Told, marked: ReadonlyMap<string, number>): void {
    if (this.subtrees.length === 0) {
      this.show(writer, seq, told);
      return;
    }
    const isMarked = (root: string): boolean => (marked.get(root) ?? Infinity) < seq;
    const look: typeof subjectOf = (lens, process) => pastSubjectOf(lens, process, isMarked);
    if (this.#letsThrough(told, look)) this.#write(writer, seq, told);
  }

  #letsThrough(told: Told, look: typeof subjectOf): boolean {
    const { event, process } = told;
    const { lens } = this;
    if (!wantsEvent(this.filter, event) || !isShown(lens, told)) return false;
    if (this.#isOpen) return true;
    const subject = look(lens, process);
    return (
      matchesProcess(this.#rest, subject, lifeOf(event, process)) &&
      this.#patterns.letThrough(process.facts, subject)
    );
  }

  #write(writer: EventWriter, seq: number, { event, process }: Told): void {
    const { lens } = this;
    const parent = toldParentOf(lens, event, process);
    writer.add(seq, eventOf(lens, event, process), {
      process: this.#packed.process(process),
      parent: parent && this.#packed.parent(parent),
      runtime: event.type === 'exit' && event.pid === event.tid ? process.age(event.kernelTime) : undefined,
    });
  }

  /** A process of a snapshot as it is told; undefined where it is not. */
  showProcess(process: Standing, kernelTime: bigint): WireProcess | undefined {
    const { lens } = this;
    const { portrait, endTime = kernelTime, status } = process;
    if (!isOwn(lens, portrait)) return undefined;
    const life = { runtime: portrait.age(endTime), status };
    const subject = subjectOf(lens, portrait);
    if (!matchesProcess(this.#rest, subject, life)) return undefined;
    return this.#patterns.letThrough(portrait.facts, subject) ? recordOf(lens, process) : undefined;
  }
}

function subtreesOf({ where, not }: Filter): string[] {
  const subtrees = [...where, ...not].filter(({ field }) => field === 'subtree');
  return [...new Set(subtrees.flatMap(({ value }) => value as (number | string)[]).map(String))];
}
