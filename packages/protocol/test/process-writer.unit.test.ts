import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { pack } from '../src/codec.ts';
import { packProcess } from '../src/process-writer.ts';
import type { ProcessInfo } from '../src/process.ts';
import { processInfo } from './arbitraries.ts';

/** Its fields in the order in which they are told. */
function inOrder(info: ProcessInfo): ProcessInfo {
  const { id, comm, detail, exe, args, argsTruncated, cwd, cgroup, container, user, ancestors } = info;
  const all = { id, comm, detail, exe, args, argsTruncated, cwd, cgroup, container, user, ancestors };
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined),
  ) as unknown as ProcessInfo;
}

test('a process is laid out by hand as it would be packed', () => {
  const wide = fc.record({
    id: fc.string(),
    comm: fc.string(),
    detail: fc.constant('complete' as const),
    args: fc.array(fc.string({ unit: 'binary', maxLength: 300 }), { maxLength: 40 }),
    cwd: fc.string({ unit: 'binary', minLength: 25, maxLength: 40 }),
  });
  fc.assert(
    fc.property(fc.oneof(processInfo, wide), (info) => {
      expect(packProcess(info)).toEqual(pack(inOrder(info)));
    }),
    { numRuns: 2000 },
  );
});

test('a process with more arguments than most is, too', () => {
  const args = Array.from({ length: 70_000 }, () => 'a');
  const info = { id: '1.0', comm: 'x'.repeat(70_000), detail: 'complete', args } as const;
  expect(packProcess(info)).toEqual(pack(info));
});
