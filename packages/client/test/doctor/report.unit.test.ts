/*
 * procbus doctor: checks as people see them.
 */
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { verdictOf, type Check } from '../../src/cli/doctor/check.ts';
import { renderReport } from '../../src/cli/doctor/report.ts';

const plain = { colour: false };

const checks: readonly Check[] = [
  { name: 'kernel', status: 'ok', what: 'Linux 6.12 tells process events' },
  {
    name: 'group',
    status: 'fail',
    what: 'anna is not in procbus',
    remedy: 'Join it with: sudo usermod -aG procbus anna',
  },
  {
    name: 'connection',
    status: 'fail',
    what: 'not let in',
    remedy: 'Join it with: sudo usermod -aG procbus anna',
  },
  { name: 'version', status: 'skip', what: 'no helper answers' },
  { name: 'grant', status: 'skip', what: 'no helper answers' },
  { name: 'proc', status: 'skip', what: 'another reason' },
  { name: 'readers', status: 'warn', what: 'slow', remedy: 'Hurry.' },
];

describe('a report', () => {
  test('has a line for each check, each remedy once below, and a verdict', () => {
    expect(renderReport(checks, plain)).toEqual([
      'ok    kernel      Linux 6.12 tells process events',
      'fail  group       anna is not in procbus',
      '      Join it with: sudo usermod -aG procbus anna',
      'fail  connection  not let in',
      'skip  version     no helper answers; so also grant',
      'skip  proc        another reason',
      'warn  readers     slow',
      '      Hurry.',
      '',
      'Something is wrong: group, connection. And 1 warning.',
    ]);
  });

  test.each<[string, readonly Check[], string]>([
    ['well', checks.slice(0, 1), 'All is well.'],
    ['nothing known', checks.slice(3, 6), 'All is well.'],
    ['a warning', checks.slice(6), 'It works, with 1 warning.'],
    ['two', [...checks.slice(6), ...checks.slice(6)], 'It works, with 2 warnings.'],
    ['a failure', checks.slice(0, 2), 'Something is wrong: group.'],
  ])('ends, with %s, accordingly', (_, some, verdict) => {
    expect(renderReport(some, plain).at(-1)).toBe(verdict);
  });

  test('is wrapped to the width of a terminal', () => {
    const long = [
      {
        name: 'namespaces',
        status: 'warn',
        what: 'word '.repeat(30).trim(),
        remedy: 'rest '.repeat(30).trim(),
      },
    ] as const;
    const lines = renderReport(long, { colour: false, width: 60 });
    expect(lines.every((line) => line.length <= 60)).toBe(true);
    expect(lines.filter((line) => line.startsWith(' '.repeat(18) + 'word'))).not.toEqual([]);
    expect(lines.filter((line) => line.startsWith('      rest'))).not.toEqual([]);
    expect(lines.join(' ').match(/word/g)).toHaveLength(30);
    // And not at all where it goes into a pipe.
    expect(renderReport(long, plain)).toHaveLength(4);
  });

  test('is coloured where asked to be, and says the same', () => {
    const coloured = renderReport(checks, { colour: true, width: 120 });
    expect(coloured[0]).toContain('\u001b[32mok');
    expect(coloured[1]).toContain('\u001b[31mfail');
    expect(coloured.at(-1)).toContain('\u001b[31m');
    expect(coloured.map((line) => stripVTControlCharacters(line))).toEqual(renderReport(checks, plain));
  });

  test('is clean whatever anything is called', () => {
    const hostile = 'evil\u001b[2J\r\n\u202E';
    const shown = renderReport([{ name: hostile, status: 'fail', what: hostile, remedy: hostile }], plain);
    expect(shown).toHaveLength(4);
    for (const line of shown) expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
  });
});

test('the verdict is the worst of all, and what was skipped is none', () => {
  expect(verdictOf(checks)).toBe('fail');
  expect(verdictOf(checks.slice(3))).toBe('warn');
  expect(verdictOf(checks.slice(3, 6))).toBe('ok');
  expect(verdictOf([])).toBe('ok');
});
