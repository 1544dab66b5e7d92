import { expect, test } from 'vitest';
import { decodeWaitStatus, signalName } from '../src/wait-status.ts';

test.each([
  [0, { exitCode: 0 }],
  [256, { exitCode: 1 }],
  [768, { exitCode: 3 }],
  [0xff00, { exitCode: 255 }],
  [9, { signal: 'SIGKILL', coreDumped: false }],
  [11, { signal: 'SIGSEGV', coreDumped: false }],
  [139, { signal: 'SIGSEGV', coreDumped: true }],
  [134, { signal: 'SIGABRT', coreDumped: true }],
  [13, { signal: 'SIGPIPE', coreDumped: false }],
  [29, { signal: 'SIGIO', coreDumped: false }],
  [34, { signal: 'SIGRTMIN', coreDumped: false }],
  [35, { signal: 'SIGRTMIN+1', coreDumped: false }],
  [64, { signal: 'SIGRTMAX', coreDumped: false }],
  // Two that the C library keeps for itself, so they have no name.
  [32, { signal: 'SIG32', coreDumped: false }],
  [33, { signal: 'SIG33', coreDumped: false }],
])('the wait status %i is decoded', (status, meaning) => {
  expect(decodeWaitStatus(status)).toEqual(meaning);
});

test('every wait status a kernel can give is either an exit or a signal', () => {
  for (let status = 0; status <= 0xffff; status++) {
    const { exitCode, signal, coreDumped } = decodeWaitStatus(status);
    const exited = (status & 0x7f) === 0;
    const expected = exited ? [status >> 8, false, undefined] : [undefined, true, (status & 0x80) > 0];
    expect([exitCode, signal !== undefined, coreDumped]).toEqual(expected);
  }
});

test('no two signals share a name', () => {
  const names = Array.from({ length: 64 }, (_, index) => signalName(index + 1));
  expect(new Set(names).size).toBe(64);
});
