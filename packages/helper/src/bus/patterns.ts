/*
 * The patterns of a filter, which are most of what it costs.
 *
 * Idea: they look at nothing but the program, and that is one and the same value from the fork of a process to its
 * exec, and from there to its exit; so what they say of it is remembered for as long as it is likely to be asked.
 */
import { matchesProcess, patternFields, type Conditions, type Filter, type Subject } from '@procbus/protocol';
import type { Facts } from '../processes/process.ts';

/** So many programs are remembered; with those that come and go at a time on a few CPUs, the parents of most. */
const rememberedLimit = 8;

/** Patterns do not ask how far a life has come. */
const anyLife = {};

export class Patterns {
  readonly #filter: Filter;
  readonly #isEmpty: boolean;
  readonly #programs: Facts[] = [];
  readonly #verdicts: boolean[] = [];
  #next = 0;

  /** @param filter - of which all other conditions are left out */
  constructor(filter: Filter) {
    this.#filter = only(filter, (field) => patternFields.has(field));
    this.#isEmpty = this.#filter.where.length + this.#filter.not.length === 0;
  }

  /**
   * Whether they let a program through.
   *
   * @param facts - equal ones are the same one
   * @param subject - what is to be seen of them
   */
  letThrough(facts: Facts, subject: Subject): boolean {
    if (this.#isEmpty) return true;
    const known = this.#verdicts[this.#programs.indexOf(facts)];
    if (known !== undefined) return known;
    const verdict = matchesProcess(this.#filter, subject, anyLife);
    this.#programs[this.#next] = facts;
    this.#verdicts[this.#next] = verdict;
    this.#next = (this.#next + 1) % rememberedLimit;
    return verdict;
  }
}

/** A filter without its patterns. */
export function withoutPatterns(filter: Filter): Filter {
  return only(filter, (field) => !patternFields.has(field));
}

function only(filter: Filter, isWanted: (field: keyof Conditions) => boolean): Filter {
  const { where, not } = filter;
  return {
    ...filter,
    where: where.filter(({ field }) => isWanted(field)),
    not: not.filter(({ field }) => isWanted(field)),
  };
}
