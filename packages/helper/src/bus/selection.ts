/*
 * A filter in the eyes of one who asks: what it lets through of what they may see, and how that is told.
 */
import {
  eventToWire,
  matches,
  matchesProcess,
  parseFilter,
  type Filter,
  type FilterRequest,
  type Grant,
  type Include,
  type WireEvent,
  type WireProcess,
} from '@procbus/protocol';
import type { Told } from '../processes/told.ts';
import { Patterns, withoutPatterns } from './patterns.ts';
import {
  circumstancesOf,
  eventOf,
  isOwn,
  isShown,
  lensOf,
  lifeOf,
  pastSubjectOf,
  recordOf,
  subjectOf,
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
  readonly #patterns: Patterns;
  /** All conditions but the patterns. */
  readonly #rest: Filter;

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
    this.lens = lensOf(grant, uid, [...always, ...filter.include]);
    this.roots = roots;
    this.subtrees = subtreesOf(filter);
    const { owner, events, names } = this.lens;
    this.key = JSON.stringify([filter.key, owner ?? null, [...events], names, [...this.lens.include]]);
  }

  /** An event as it is told; undefined where it is not. */
  show(seq: number, told: Told): WireEvent | undefined {
    return this.#show(seq, told, subjectOf);
  }

  /**
   * An event of the past as it is told.
   *
   * @param marked - since which number somebody has watched a subtree
   */
  showPast(seq: number, told: Told, marked: ReadonlyMap<string, number>): WireEvent | undefined {
    if (this.subtrees.length === 0) return this.show(seq, told);
    const isMarked = (root: string): boolean => (marked.get(root) ?? Infinity) < seq;
    return this.#show(seq, told, (lens, process) => pastSubjectOf(lens, process, isMarked));
  }

  #show(seq: number, told: Told, look: typeof subjectOf): WireEvent | undefined {
    const { event, process } = told;
    const { lens } = this;
    if (!this.filter.events.has(event.type) || !isShown(lens, told)) return undefined;
    const subject = look(lens, process);
    if (!matches(this.#rest, event, subject, lifeOf(event, process))) return undefined;
    if (!this.#patterns.letThrough(process.facts, subject)) return undefined;
    return eventToWire(seq, eventOf(lens, event, process), circumstancesOf(lens, event, process));
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
