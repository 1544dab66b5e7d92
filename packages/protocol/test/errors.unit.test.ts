import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { errorCodes, exitStatusOf, isErrorCode, ProcbusError } from '../src/errors.ts';

const documentation = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');

describe('every error code', () => {
  test.each(errorCodes)('%s has an exit status of sysexits.h', (code) => {
    expect([64, 69, 70, 73, 74, 75, 76, 77, 78]).toContain(exitStatusOf(code));
  });

  test('is documented in docs/errors.md, once, with its exit status, a cause and a remedy', () => {
    const rows = [...documentation.matchAll(/^\| `([a-z-]+)` *\|(.+)\|$/gm)].map(
      ([, code = '', cells = '']) => {
        const [status = '', cause = '', remedy = ''] = cells.split('|').map((cell) => cell.trim());
        expect([code, cause, remedy]).not.toContain('');
        return [code, Number(status)];
      },
    );
    expect(rows.toSorted()).toEqual(errorCodes.map((code) => [code, exitStatusOf(code)]).toSorted());
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

  test('tells the oldest cursor where it has one', () => {
    expect(new ProcbusError('gone', 'no', { oldest: 'a:1' }).oldest).toBe('a:1');
    expect(new ProcbusError('gone', 'no').oldest).toBeUndefined();
  });

  test('has no cause of its own where there is none', () => {
    expect('cause' in new ProcbusError('internal', 'no')).toBe(false);
  });
});
