import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pack, unpack } from '../src/codec.ts';
import { circumstancesFromWire, includes, processFromWire } from '../src/process.ts';
import { circumstances, processInfo } from './arbitraries.ts';
import { vectorOf } from './vectors.ts';

const malformed = expect.objectContaining({ name: 'ProcbusError', code: 'bad-message' }) as unknown;
const known = { id: '7.a', comm: 'cat', detail: 'complete' };

/** The circumstances of the first event of a vector. */
const circumstancesIn = (name: string): unknown =>
  (vectorOf(name).value as [1, 2, 3, 4, unknown[][]])[4][0]?.[6];

describe('a process', () => {
  test('arrives as it was sent, with all that was included', () => {
    fc.assert(
      fc.property(processInfo, (info) => {
        expect(processFromWire(unpack(pack(info)) as Record<string, unknown>)).toEqual(info);
      }),
      { numRuns: 500 },
    );
  });

  test('has all that can be included in the vector events-exec-with-everything', () => {
    const { process } = circumstancesFromWire(circumstancesIn('events-exec-with-everything'));
    expect(Object.keys(process)).toEqual(
      expect.arrayContaining(['id', 'comm', 'detail', 'argsTruncated', ...includes]),
    );
    expect(process.args).toEqual(['python3', '', 'größe=1', '-']);
    expect(process.ancestors).toEqual([
      { pid: 1200, comm: 'bash' },
      { pid: 1, comm: 'systemd' },
    ]);
  });

  test('of a later version is read without what is new in it', () => {
    const ancestors = [{ pid: 1, comm: 'init', mood: 'calm' }];
    expect(processFromWire({ ...known, mood: 'sunny', ancestors })).toEqual({
      ...known,
      ancestors: [{ pid: 1, comm: 'init' }],
    });
  });

  test('that was told without something is read without it', () => {
    const nothing = { exe: null, args: null, argsTruncated: false, cwd: 5, ancestors: null };
    expect(processFromWire({ ...known, ...nothing })).toEqual(known);
  });

  test.each<[string, Record<string, unknown>]>([
    ['without an id', { comm: 'cat', detail: 'complete' }],
    ['with an id that is a number', { ...known, id: 7 }],
    ['without a name', { id: '7.a', detail: 'complete' }],
    ['with a name of nil', { ...known, comm: null }],
    ['without a detail', { id: '7.a', comm: 'cat' }],
    ['of no known detail', { ...known, detail: 'some' }],
    ['with an argument that is a number', { ...known, args: ['cat', 1] }],
    // As a string this would call what the peer sent.
    ['with an argument that is a map', { ...known, args: [{ toString: 1 }] }],
    ['with an ancestor that is a number', { ...known, ancestors: [1] }],
    ['with an ancestor of nil', { ...known, ancestors: [null] }],
    ['with an ancestor without a name', { ...known, ancestors: [{ pid: 1 }] }],
    ['with an ancestor without a pid', { ...known, ancestors: [{ comm: 'init' }] }],
  ])('that is malformed is refused: %s', (_name, fields) => {
    expect(() => processFromWire(fields)).toThrow(malformed);
    expect(() => circumstancesFromWire({ process: fields })).toThrow(malformed);
    expect(() => circumstancesFromWire({ process: known, parent: fields })).toThrow(malformed);
  });
});

describe('circumstances', () => {
  test('arrive as they were sent', () => {
    fc.assert(
      fc.property(circumstances, (told) => {
        expect(circumstancesFromWire(unpack(pack(told)))).toEqual(told);
      }),
      { numRuns: 500 },
    );
  });

  test('stand in the order of the documentation, for those who compare lines', () => {
    const told = circumstancesFromWire({ synthetic: true, runtime: 1, parent: known, process: known });
    expect(Object.keys(told)).toEqual(['process', 'parent', 'runtime', 'synthetic']);
  });

  test('of a later version are read without what is new in them', () => {
    expect(circumstancesFromWire({ process: known, weather: 5 })).toEqual({ process: known });
  });

  test('that were told without something are read without it', () => {
    expect(circumstancesFromWire({ process: known, runtime: null, synthetic: false })).toEqual({
      process: known,
    });
  });

  test('have a runtime whether that came as a float or as an integer', () => {
    const [exits] = vectorOf('events-exit-runtimes').value.slice(4) as [unknown[][]];
    expect(exits.map((exit) => circumstancesFromWire(exit[6]).runtime)).toEqual([0.000042, 2, 1.5e-7]);
  });

  test.each<[string, unknown]>([
    ['nil', null],
    ['missing', undefined],
    ['a list', [known]],
    ['a string', 'cat'],
    ['without a process', {}],
    ['with a process of nil', { process: null }],
    ['with a process that is a list', { process: ['7.a', 'cat', 'complete'] }],
    ['with a parent of nil', { process: known, parent: null }],
    ['with a parent that is a pid', { process: known, parent: 1 }],
  ])('that are malformed are refused: %s', (_name, value) => {
    expect(() => circumstancesFromWire(value)).toThrow(malformed);
  });

  test('end in circumstances or a ProcbusError, whatever they are', () => {
    const fields = fc.record({ process: fc.anything(), parent: fc.anything() }, { requiredKeys: [] });
    const names = [...includes, 'id', 'comm'];
    const maps = fc.record(Object.fromEntries(names.map((name) => [name, fc.anything()])));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fields,
          maps.map((map) => ({ process: { ...known, ...map } })),
        ),
        (value) => {
          try {
            circumstancesFromWire(value);
          } catch (thrown) {
            expect(thrown).toEqual(malformed);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
