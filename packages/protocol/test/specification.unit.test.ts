/*
 * The specification says what the code does: its hexdumps are vectors, its limits are the limits.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { conditionFields, maxListLength, maxPatternLength } from '../src/conditions.ts';
import { eventTypes } from '../src/event.ts';
import { maxGlobLength } from '../src/glob.ts';
import { maxClientPayload, maxHelperPayload } from '../src/frame.ts';
import { includes } from '../src/process.ts';
import { clientStructure } from '../src/structure.ts';
import { vectorOf, vectors } from './vectors.ts';

const text = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');

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
const row = (name: string): string[] => {
  const cells = new RegExp(`\\| ${name} *\\|(.*)\\|`).exec(text)?.[1] ?? '';
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
  return text.slice(start, start + length);
}

const firstCells = (part: string): string[] =>
  [...part.matchAll(/^\| `(\w+)`/gm)].map(([, name = '']) => name);

test('the text has a row for every field of a filter, and for nothing else', () => {
  const fields = ['events', 'threads', 'include', 'not', ...conditionFields];
  expect(firstCells(section('### Filters'))).toEqual(fields);
});

test('the text has a row for everything that can be included', () => {
  expect(firstCells(section('### Processes'))).toEqual(expect.arrayContaining([...includes]));
});
