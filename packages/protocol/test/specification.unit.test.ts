/*
 * The specification says what the code does: its hexdumps are vectors, its limits are the limits.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { eventTypes } from '../src/event.ts';
import { maxClientPayload, maxHelperPayload } from '../src/frame.ts';
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
  const named = [...text.matchAll(/(?:vectors?:?|Vectors:) `([a-z-]+)`(?:, `([a-z-]+)`)?/g)].flatMap(
    (match) => match.slice(1).filter((name) => name !== undefined),
  );
  expect(named.length).toBeGreaterThanOrEqual(4);
  for (const name of named) vectorOf(name);
  const events = vectors
    .filter(({ value: [type] }) => type === 'events')
    .flatMap(({ value }) => value[4] as unknown[][])
    .map(([type]) => type);
  for (const type of eventTypes) expect(events).toContain(type);
});

test('the limits are those of the text', () => {
  const row = (name: string): string[] => {
    const cells = new RegExp(`\\| ${name} *\\|(.*)\\|`).exec(text)?.[1] ?? '';
    return cells.split('|').map((cell) => cell.trim().replaceAll(',', ''));
  };
  expect(row('payload, bytes')).toEqual([String(maxClientPayload), String(maxHelperPayload)]);
  expect(row('arrays and maps inside one another')[0]).toBe(String(clientStructure.depth));
  expect(row('elements of all arrays and maps in a frame')[0]).toBe(String(clientStructure.elements));
});
