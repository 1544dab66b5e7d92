import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { errorCodes, exitStatusOf, isErrorCode, ProcbusError } from '../src/errors.ts';

const documentation = new URL('../../../docs/errors.md', import.meta.url);

describe('every error code', () => {
  test.each(errorCodes)('%s has an exit status of sysexits.h', (code) => {
    expect([64, 69, 70, 73, 74, 76, 77]).toContain(exitStatusOf(code));
  });

  test.for(errorCodes)('%s is documented in docs/errors.md', (code, { skip }) => {
    skip(!existsSync(documentation), 'docs/errors.md is not written yet');
    const lines = readFileSync(documentation, 'utf8').split('\n');
    // A heading or a row of a table.
    const told = lines.filter((line) => /^#|^\|/.test(line) && line.includes(`\`${code}\``));
    expect(told, `docs/errors.md has no heading and no row for \`${code}\``).not.toEqual([]);
  });

  test('is known, and nothing else is', () => {
    expect(errorCodes.every((code) => isErrorCode(code))).toBe(true);
    for (const other of ['', 'no-such-code', 'toString', 64, null, undefined]) {
      expect(isErrorCode(other)).toBe(false);
    }
  });

  test('is listed once', () => {
    expect(new Set(errorCodes).size).toBe(errorCodes.length);
  });
});

describe('a ProcbusError', () => {
  test('says what went wrong, what would help, and why', () => {
    const cause = new Error('EPERM');
    const error = new ProcbusError('not-permitted', 'no', { remedy: 'Ask.', cause });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'ProcbusError',
      code: 'not-permitted',
      message: 'no',
      remedy: 'Ask.',
      cause,
    });
  });

  test('has no cause of its own where there is none', () => {
    expect('cause' in new ProcbusError('internal', 'no')).toBe(false);
  });
});
