/*
 * The specification says what the code does: its hexdumps are vectors, its limits are the limits.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { conditionFields, maxListLength, maxPatternLength } from '../src/conditions.ts';
import { isErrorCode } from '../src/errors.ts';
import { eventTypes, lostPlaces } from '../src/event.ts';
import { maxGlobLength } from '../src/glob.ts';
import { maxClientPayload, maxHelperPayload } from '../src/frame.ts';
import { fullGrant, grantedDetails, scopes, tells } from '../src/grant.ts';
import { includes } from '../src/process.ts';
import { clientStructure } from '../src/structure.ts';
import {
  defaultMaxDelay,
  lagPolicies,
  longestMaxDelay,
  subscribeOptionsToWire,
  type SubscribeOptions,
} from '../src/subscribe-options.ts';
import { vectorOf, vectors } from './vectors.ts';

const read = (name: string): string =>
  readFileSync(new URL(`../../../docs/${name}.md`, import.meta.url), 'utf8');

const text = read('protocol');

/** The bytes of each hexdump: sixteen a line, between an offset and the same as text. */
const dumps = [...text.matchAll(/```\n((?:[0-9a-f]{4} {2}.*\n)+)```/g)].map(([, dump = '']) =>
  Buffer.from(
    dump
      .split('\n')
      .map((line) => line.slice(6, 6 + 16 * 3))
      .join('')
      .replaceAll(' ', ''),
    'hex',
  ),
);

test('each hexdump is the vector that the text names', () => {
  expect(dumps).toEqual([vectorOf('subscribe-events').frame, vectorOf('events-exit').frame]);
});

test('each vector that is named exists, and each type of event has one', () => {
  const named = [...text.matchAll(/vectors?:? ((?:`[a-z-]+`(?:,\s|\sand\s)?)+)/gi)].flatMap(([, list = '']) =>
    [...list.matchAll(/`([a-z-]+)`/g)].map(([, name = '']) => name),
  );
  expect(named.length).toBeGreaterThanOrEqual(12);
  for (const name of named) vectorOf(name);
  const events = vectors
    .filter(({ value: [type] }) => type === 'events')
    .flatMap(({ value }) => value[4] as unknown[][])
    .map(([type]) => type);
  for (const type of eventTypes) expect(events).toContain(type);
});

/** The cells behind the first one of a table's row. */
const row = (name: string, part = text): string[] => {
  const cells = new RegExp(`\\| ${name} *\\|(.*)\\|`).exec(part)?.[1] ?? '';
  return cells.split('|').map((cell) => cell.trim().replaceAll(',', ''));
};

test('the limits are those of the text', () => {
  expect(row('payload, bytes')).toEqual([String(maxClientPayload), String(maxHelperPayload)]);
  expect(row('arrays and maps inside one another')[0]).toBe(String(clientStructure.depth));
  expect(row('elements of all arrays and maps in a frame')[0]).toBe(String(clientStructure.elements));
});

test('the limits of filters are those of the text', () => {
  expect(row('entries of a list')).toEqual([String(maxListLength)]);
  expect(row('characters of a pattern')).toEqual([String(maxGlobLength)]);
  expect(row('characters of all patterns of a filter together')).toEqual([String(maxPatternLength)]);
});

/** The text from a heading to the next one that is not below it. */
function section(heading: string): string {
  const start = text.indexOf(`\n${heading}\n`) + 1 + heading.length;
  const level = heading.indexOf(' ');
  const length = text.slice(start).search(new RegExp(`^#{1,${level}} `, 'm'));
  return length < 0 ? text.slice(start) : text.slice(start, start + length);
}

const firstCells = (part: string): string[] =>
  [...part.matchAll(/^\| `([\w-]+)`/gm)].map(([, name = '']) => name);

/** What stands as code in a text. */
const names = (part = ''): string[] => [...part.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);

test('the text has a row for every field of a filter, and for nothing else', () => {
  const fields = ['events', 'threads', 'include', 'not', ...conditionFields];
  expect(firstCells(section('### Filters'))).toEqual(fields);
});

test('the text has a row for everything that can be included', () => {
  expect(firstCells(section('### Processes'))).toEqual(expect.arrayContaining([...includes]));
});

test('the text has a row for every key of a grant and every detail, with what that refuses', () => {
  const grants = section('### Grants');
  expect(firstCells(grants)).toEqual([...Object.keys(fullGrant), 'detail', ...grantedDetails]);
  expect(names(row('`scope`', grants)[1])).toEqual([...scopes]);
  for (const detail of grantedDetails) {
    const refused = conditionFields.filter((field) => !tells(detail, field));
    expect(names(row(`\`${detail}\``, grants)[1]).toSorted()).toEqual(refused.toSorted());
  }
});

test('the text has a row for every option of a subscription, with its limits', () => {
  const all: Required<SubscribeOptions> = {
    since: { epoch: 'a', seq: 1 },
    sinceTime: 1n,
    maxDelay: 1,
    onLag: 'drop',
  };
  const { since, ...withSinceTime } = all;
  const options = new Set([
    ...Object.keys(subscribeOptionsToWire({ since }) ?? {}),
    ...Object.keys(subscribeOptionsToWire(withSinceTime) ?? {}),
  ]);
  const part = section('### subscribe, unsubscribe');
  expect(firstCells(part)).toEqual([...options, 'seq', 'clockOffset', 'roots']);
  const [, delay, delays = ''] = row('`maxDelay`', part);
  expect(delay).toBe(String(defaultMaxDelay));
  expect(delays).toContain(`0 to ${longestMaxDelay}`);
  expect(names(row('`onLag`', part)[2])).toEqual(expect.arrayContaining([...lagPolicies]));
});

test('the text has a row for every place where events can be lost', () => {
  expect(firstCells(section('### lost'))).toEqual(expect.arrayContaining([...lostPlaces]));
});

test('the text tells of every figure in the answer to stats', () => {
  const told = new Set(names(section('### stats')));
  const keys = (value: unknown): string[] => {
    if (Array.isArray(value)) return value.flatMap(keys);
    if (typeof value !== 'object' || value === null) return [];
    // Types of events are the keys of `received`.
    const inner = Object.entries(value).flatMap(([key, of]) => (key === 'received' ? [] : keys(of)));
    return [...Object.keys(value), ...inner];
  };
  const figures = keys(vectorOf('result-stats').value[2]);
  expect(figures.length).toBeGreaterThan(40);
  expect(figures.filter((figure) => !told.has(figure))).toEqual([]);
});

test('every code that is said to travel is one, and has a row in errors.md', () => {
  const travelling = names(section('## Errors'));
  expect(travelling.filter((code) => !isErrorCode(code))).toEqual([]);
  const errors = read('errors');
  const onTheWire = errors.slice(errors.indexOf('## On the wire'));
  expect(firstCells(errors)).toEqual(expect.arrayContaining(travelling));
  expect(travelling).toEqual(expect.arrayContaining(firstCells(onTheWire)));
});

test('each link within the text, and to it, leads to a heading', () => {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => `#${heading}`.toLowerCase());
  const anchors = new Set(headings.map((name) => name.replace(/[^\w# -]/g, '').replaceAll(' ', '-')));
  const links = [
    ...[...text.matchAll(/\]\((#[^)]*)\)/g)].map(([, anchor = '']) => anchor),
    ...[...read('errors').matchAll(/\]\(protocol\.md(#[^)]*)\)/g)].map(([, anchor = '']) => anchor),
  ];
  expect(links.length).toBeGreaterThan(40);
  expect(links.filter((link) => !anchors.has(link))).toEqual([]);
});
