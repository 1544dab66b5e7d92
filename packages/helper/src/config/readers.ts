/*
 * Readers: what a value in the file may be, put together from small ones.
 *
 * A reader makes a value of an item, or reports what is wrong with it and makes nothing. All that is wrong in a
 * file is found at once, as readers go on behind what is wrong.
 */
import { nearest } from './nearest.ts';
import type { Item, Report, Table } from './toml.ts';

/** Reads an item; `name` is the key before it, for messages. */
export type Reader<T> = (item: Item, name: string, report: Report) => T | undefined;

/** What a table gives: the values of its keys, those that are there. */
export type Values<Keys> = { readonly [Key in keyof Keys]?: Keys[Key] extends Reader<infer T> ? T : never };

/**
 * A table with known keys.
 *
 * @param title - as people know it: `[socket]`
 */
export function table<Keys extends Readonly<Record<string, Reader<unknown>>>>(
  title: string,
  keys: Keys,
): Reader<Values<Keys>> {
  return (item, _, report) => {
    if (item.kind !== 'table') {
      report(item.place, `${title} needs to be a table, not ${shown(item)}`);
      return undefined;
    }
    return readKeys(item, keys, report, (unknown) => ({
      message: `${unknown} is no key of ${title}`,
      remedy: `The keys of ${title} are ${Object.keys(keys).join(', ')}.`,
    }));
  };
}

/** Reads the entries of a table by their keys; `complaint` words what is wrong with a key that is not known. */
export function readKeys<Keys extends Readonly<Record<string, Reader<unknown>>>>(
  { entries }: Table,
  keys: Keys,
  report: Report,
  complaint: (unknown: string) => { message: string; remedy: string },
): Values<Keys> {
  const values: [string, unknown][] = [];
  for (const [key, { place, item }] of entries) {
    if (!Object.hasOwn(keys, key)) {
      const { message, remedy } = complaint(quoted(key));
      report(place, `${message}${guess(key, Object.keys(keys))}`, remedy);
      continue;
    }
    const value = (keys[key] as Reader<unknown>)(item, key, report);
    if (value !== undefined) values.push([key, value]);
  }
  return Object.fromEntries(values) as Values<Keys>;
}

/** A whole number within bounds. */
export function integer(lowest: number, highest: number): Reader<number> {
  return reader(`a whole number from ${lowest} to ${highest}`, (item) =>
    item.kind === 'integer' && item.value >= lowest && item.value <= highest ? item.value : undefined,
  );
}

/** Bytes within bounds: a number, or text with a unit such as `64MiB`. */
export function bytes(lowest: number, highest: number): Reader<number> {
  const range = `from ${formatBytes(lowest)} to ${formatBytes(highest)}`;
  return reader(`bytes ${range}, as 65536 or "64KiB" (KiB, MiB or GiB)`, (item) => {
    const value =
      item.kind === 'integer' ? item.value : item.kind === 'string' ? parseBytes(item.value) : Number.NaN;
    return value >= lowest && value <= highest ? value : undefined;
  });
}

/** Text of some form; `read` makes nothing of what is not of it. */
export function text<T>(form: string, read: (text: string) => T | undefined): Reader<T> {
  return reader(form, (item) => (item.kind === 'string' ? read(item.value) : undefined));
}

/** `true`, and nothing else. */
export const onlyTrue: Reader<true> = reader('true, or to be left out', (item) =>
  item.kind === 'boolean' && item.value ? true : undefined,
);

/** One of some names. */
export function oneOf<Name extends string>(names: readonly Name[]): Reader<Name> {
  const form = new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(names.map(quoted));
  return (item, key, report) => {
    const name = item.kind === 'string' ? names.find((known) => known === item.value) : undefined;
    if (name !== undefined) return name;
    const meant = item.kind === 'string' ? guess(item.value, names) : '';
    report(item.place, `${key} needs ${form}, not ${shown(item)}${meant}`);
    return undefined;
  };
}

/** A list of what one reader takes. */
export function listOf<T>(element: Reader<T>): Reader<readonly T[]> {
  return (item, key, report) => {
    if (item.kind === 'list') {
      return item.items.flatMap((each) => element(each, key, report) ?? []);
    }
    report(item.place, `${key} needs a list in [ ], not ${shown(item)}`);
    return undefined;
  };
}

/** A reader of what has a form; whatever `read` makes nothing of is reported. */
export function reader<T>(form: string, read: (item: Item) => T | undefined): Reader<T> {
  return (item, key, report) => {
    const value = read(item);
    if (value === undefined) report(item.place, `${key} needs ${form}, not ${shown(item)}`);
    return value;
  };
}

/** Text in quotes; as a line, and not too long a one. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

/** An item for a message. */
function shown(item: Item): string {
  switch (item.kind) {
    case 'string':
      return quoted(item.value);
    case 'integer':
    case 'float':
    case 'boolean':
      return String(item.value);
    case 'date':
      return 'a date';
    case 'list':
      return 'a list';
    case 'table':
      return 'a table';
  }
}

function guess(word: string, names: readonly string[]): string {
  const meant = nearest(word, names);
  return meant === undefined ? '' : `; did you mean ${quoted(meant)}?`;
}

/** Units of bytes; as with systemd, short ones are powers of 1024 too. */
const units = new Map([
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
  ['G', 2 ** 30],
  ['M', 2 ** 20],
  ['K', 2 ** 10],
  ['B', 1],
  ['', 1],
]);

/** NaN for what is no number of bytes. */
function parseBytes(value: string): number {
  const [, number = '', unit = ''] = /^([0-9]+) ?([A-Za-z]*)$/.exec(value) ?? [];
  return number === '' ? Number.NaN : Number(number) * (units.get(unit) ?? Number.NaN);
}

/** Bytes in the largest unit that they are a whole number of: `16MiB`. */
export function formatBytes(value: number): string {
  const [unit = '', size = 1] = [...units].find(([, each]) => value >= each && value % each === 0) ?? [];
  return value === 0 ? '0' : `${value / size}${size === 1 ? '' : unit}`;
}
