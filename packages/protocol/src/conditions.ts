/*
 * Conditions: what a filter can ask of a process, one entry a field.
 *
 * Each field has one entry here: how its value is checked, and what it means. All of them cost time
 * linear in the text they look at, and their number and size are bounded, as a client writes them and
 * a privileged helper evaluates them against every event.
 */
import { ProcbusError } from './errors.ts';
import { compileGlob, globMatches } from './glob.ts';

/** What can be asked of a process. Within one list any entry may hold; of several fields all have to. */
export interface Conditions {
  /** Pids. */
  readonly pids?: readonly number[] | undefined;
  /**
   * Processes with all that descend from them, however often these were given another parent since. A
   * number is a pid, and means the process that has it when the filter is first used; a string is
   * the `id` of a process.
   */
  readonly subtree?: readonly (number | string)[] | undefined;
  /** Real user ids. */
  readonly uids?: readonly number[] | undefined;
  /** Names of real users. */
  readonly users?: readonly string[] | undefined;
  /** Patterns for the name, as in `make*`; see {@link compileGlob}. */
  readonly comm?: readonly string[] | undefined;
  /** Patterns for the path of the program. */
  readonly exe?: readonly string[] | undefined;
  /** Patterns for the arguments, joined by a space each. */
  readonly args?: readonly string[] | undefined;
  /** Patterns for the path of the cgroup. */
  readonly cgroup?: readonly string[] | undefined;
  /** Beginnings of container ids; or `any`, or `none` for processes of the host. */
  readonly container?: readonly string[] | undefined;
  /**
   * How a process ended: `failed` for all but exit code 0, `signaled`, or an exit code. Of events only
   * exits can fulfil it.
   */
  readonly exit?: readonly (number | 'failed' | 'signaled')[] | undefined;
  /** Seconds that a process has lived at least. Of events only exits can fulfil it. */
  readonly minRuntime?: number | undefined;
  /** Seconds that a process has lived at most. Of events only exits can fulfil it. */
  readonly maxRuntime?: number | undefined;
}

/** What conditions look at: a process, as it is at the moment. */
export interface Subject {
  readonly pid: number;
  readonly comm: string;
  readonly exe: string | undefined;
  readonly args: readonly string[] | undefined;
  readonly cgroup: string | undefined;
  readonly container: string | undefined;
  readonly uid: number;
  /** Name of the real user, where there is one. */
  readonly user: string | undefined;
  /** Whether it is, or descends from, the process of that id. */
  isWithin(id: string): boolean;
}

/** How far the life of a subject has come. Of events only exits tell. */
export interface Life {
  /** Seconds from its start to its end, or until now. */
  readonly runtime?: number | undefined;
  /** Its wait status, where it has ended and somebody saw it. */
  readonly status?: number | undefined;
}

/** One condition, checked. */
export interface Condition {
  readonly field: keyof Conditions;
  /** Its value in the one form that equal conditions share. */
  readonly value: unknown;
  holds(subject: Subject, life: Life): boolean;
}

/** Entries of one list at most. */
export const maxListLength = 64;
/** Characters of all patterns of one filter together at most. */
export const maxPatternLength = 2048;

type Holds = Condition['holds'];

/** Makes a condition of a value that is checked in the course. */
type Parser = (value: unknown, field: string) => readonly [value: unknown, holds: Holds];

const parsers: { readonly [Field in keyof Conditions]-?: Parser } = {
  pids: (value, field) => {
    const pids = new Set(list(value, field, isPid, 'a pid'));
    return [sorted(pids), ({ pid }) => pids.has(pid)];
  },
  subtree: (value, field) => {
    const roots = list(value, field, isRoot, 'a pid or an id of a process');
    return [sorted(new Set(roots)), (subject) => roots.some((root) => subject.isWithin(String(root)))];
  },
  uids: (value, field) => {
    const uids = new Set(list(value, field, isUid, 'a user id'));
    return [sorted(uids), ({ uid }) => uids.has(uid)];
  },
  users: (value, field) => {
    const users = new Set(list(value, field, isName, 'the name of a user'));
    return [sorted(users), ({ user }) => user !== undefined && users.has(user)];
  },
  comm: (value, field) => globs(value, field, ({ comm }) => comm),
  exe: (value, field) => globs(value, field, ({ exe }) => exe),
  args: (value, field) => globs(value, field, ({ args }) => args?.join(' ')),
  cgroup: (value, field) => globs(value, field, ({ cgroup }) => cgroup),
  container: (value, field) => {
    const prefixes = sorted(new Set(list(value, field, isName, 'an id, any or none')));
    return [prefixes, (subject) => prefixes.some((prefix) => isOfContainer(subject, prefix))];
  },
  exit: (value, field) => {
    const kinds = sorted(new Set(list(value, field, isExit, 'failed, signaled or an exit code')));
    return [kinds, (_, { status }) => status !== undefined && kinds.some((kind) => isExitOf(status, kind))];
  },
  minRuntime: (value, field) => {
    const least = seconds(value, field);
    return [least, (_, { runtime }) => runtime !== undefined && runtime >= least];
  },
  maxRuntime: (value, field) => {
    const most = seconds(value, field);
    return [most, (_, { runtime }) => runtime !== undefined && runtime <= most];
  },
};

/** The fields of {@link Conditions}. */
export const conditionFields: readonly (keyof Conditions)[] = Object.keys(parsers) as (keyof Conditions)[];

/** Those that are patterns: they look at the program, and at nothing else. */
export const patternFields: ReadonlySet<keyof Conditions> = new Set(['comm', 'exe', 'args', 'cgroup']);

/**
 * Checks the conditions among the fields of a map.
 *
 * @param prefix - put before the name of a field in errors
 * @throws ProcbusError `bad-filter`, naming the field
 */
export function parseConditions(fields: Readonly<Record<string, unknown>>, prefix = ''): Condition[] {
  return conditionFields.flatMap((field) => {
    if (fields[field] === undefined) return [];
    const [value, holds] = parsers[field](fields[field], prefix + field);
    return [{ field, value, holds }];
  });
}

function globs(
  value: unknown,
  field: string,
  textOf: (subject: Subject) => string | undefined,
): readonly [value: unknown, holds: Holds] {
  const patterns = sorted(new Set(list(value, field, isText, 'a pattern')));
  const compiled = patterns.map((pattern) => compileGlob(pattern, field));
  return [
    patterns,
    (subject) => {
      const text = textOf(subject);
      return text !== undefined && compiled.some((glob) => globMatches(glob, text));
    },
  ];
}

/** A list that is neither empty nor too long, all entries of one kind. */
function list<Entry>(
  value: unknown,
  field: string,
  isEntry: (entry: unknown) => entry is Entry,
  kind: string,
): readonly Entry[] {
  if (!Array.isArray(value)) throw bad(field, 'not a list');
  if (value.length === 0) throw bad(field, 'an empty list');
  if (value.length > maxListLength) throw bad(field, `more than ${maxListLength} entries`);
  for (const entry of value as unknown[]) {
    if (!isEntry(entry)) throw bad(field, `${shown(entry)} is not ${kind}`);
  }
  return value as Entry[];
}

function seconds(value: unknown, field: string): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  throw bad(field, `${shown(value)} is not a number of seconds`);
}

/** Entries of a filter as an error may show them: short, and quoted. */
export function shown(entry: unknown): string {
  if (typeof entry === 'string') return JSON.stringify(entry.slice(0, 40));
  return typeof entry === 'number' ? String(entry) : typeof entry;
}

function bad(field: string, what: string): ProcbusError {
  return new ProcbusError('bad-filter', `${field}: ${what}`);
}

/** Numbers before strings, as neither is less than the other: one order, however they were given. */
function sorted<Entry extends number | string>(entries: ReadonlySet<Entry>): Entry[] {
  return [...entries].toSorted((a, b) => {
    if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
    return a < b ? -1 : 1;
  });
}

function isText(entry: unknown): entry is string {
  return typeof entry === 'string';
}

function isName(entry: unknown): entry is string {
  return typeof entry === 'string' && entry.length > 0 && entry.length <= 256;
}

function isPid(entry: unknown): entry is number {
  return Number.isInteger(entry) && (entry as number) > 0 && (entry as number) < 2 ** 31;
}

function isRoot(entry: unknown): entry is number | string {
  return isPid(entry) || isName(entry);
}

function isUid(entry: unknown): entry is number {
  return Number.isInteger(entry) && (entry as number) >= 0 && (entry as number) < 2 ** 32;
}

function isExit(entry: unknown): entry is number | 'failed' | 'signaled' {
  if (entry === 'failed' || entry === 'signaled') return true;
  return Number.isInteger(entry) && (entry as number) >= 0 && (entry as number) <= 255;
}

function isExitOf(status: number, kind: number | 'failed' | 'signaled'): boolean {
  const signal = status & 0x7f;
  if (kind === 'failed') return status !== 0;
  if (kind === 'signaled') return signal !== 0;
  return signal === 0 && status >> 8 === kind;
}

function isOfContainer({ cgroup, container }: Subject, prefix: string): boolean {
  // Where the cgroup is not known, neither is whether there is a container.
  if (prefix === 'none') return cgroup !== undefined && container === undefined;
  return container !== undefined && (prefix === 'any' || container.startsWith(prefix));
}
