import {
  helperMessage,
  maxHelperPayload,
  packFrameHead,
  frameHeaderBytes,
  unpack,
  type WireProcess,
} from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { wireProcess } from '../../protocol/test/arbitraries.ts';
import { packSnapshot } from '../src/bus/snapshot.ts';

/** Checks that each part fits a message; returns how many there are, and all processes in them. */
function partsOf(processes: readonly WireProcess[]): { parts: number; read: WireProcess[] } {
  let parts = 0;
  const read = [...packSnapshot(processes)].flatMap((part) => {
    parts++;
    const head = packFrameHead(helperMessage.processesHead(0xffffffff), part.length);
    expect(head.length - frameHeaderBytes + part.length).toBeLessThanOrEqual(maxHelperPayload);
    return unpack(part) as WireProcess[];
  });
  return { parts, read };
}

function record(pid: number, args: readonly string[]): WireProcess {
  const ids = { uid: 0, euid: 0, gid: 0, egid: 0, sid: 0, tty: 0 };
  return { id: String(pid), comm: 'x', detail: 'complete', pid, ppid: 1, args, ...ids, startTime: 2n ** 60n };
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('the parts of a snapshot', () => {
  test('are, in order, all that is in it, whatever its processes are like', () => {
    fc.assert(
      fc.property(fc.array(wireProcess, { maxLength: 600, size: 'max' }), (processes) => {
        const { parts, read } = partsOf(processes);
        expect(parts).toBe(Math.ceil(processes.length / 256));
        const expected = processes.map((process) => unpack(partOf(process)));
        expect(read).toEqual(expected.flat());
      }),
      { numRuns: 20 },
    );
  });

  test('are none where there is no process', () => {
    expect([...packSnapshot([])]).toEqual([]);
  });

  test('fit a message each, though every process has arguments as long as may be', () => {
    // Bytes that are no UTF-8 take three times as many as text.
    const args = ['\u{fffd}'.repeat(4096)];
    const { parts, read } = partsOf(range(1000).map((pid) => record(pid, args)));
    expect(parts).toBeGreaterThan(1000 / 256);
    expect(read.map(({ pid }) => pid)).toEqual(range(1000));
    expect(read.every((process) => process.args?.[0] === args[0])).toBe(true);
  });

  test('fit a message each, however little more than one they take', () => {
    // In some of these the head of the message makes the difference.
    for (let length = 0; length < 120; length++) {
      const half = (maxHelperPayload - 200) / 2;
      const args = ['x'.repeat(half - 60 + length)];
      const { read } = partsOf([record(1, args), record(2, args)]);
      expect(read.map(({ pid }) => pid)).toEqual([1, 2]);
    }
  });

  test('are cut where the long ones are, and not everywhere', () => {
    const long = ['€'.repeat(4096)];
    const processes = range(512).map((pid) => record(pid, pid <= 256 ? long : []));
    const sizes = [...packSnapshot(processes)].map((part) => (unpack(part) as unknown[]).length);
    expect(sizes.at(-1)).toBe(256);
    expect(sizes.length).toBeGreaterThan(2);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(512);
  });

  test('are packed one by one, as they are asked for', () => {
    let read = 0;
    const processes = range(1000).map((pid) => {
      const process = record(pid, []);
      return Object.defineProperty({ ...process }, 'comm', { enumerable: true, get: () => `${++read}` });
    });
    const parts = packSnapshot(processes);
    parts.next();
    expect(read).toBe(256);
  });
});

/** One process as its own part. */
function partOf(process: WireProcess): Buffer {
  const [part] = packSnapshot([process]);
  return part as Buffer;
}
