import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pack, unpack } from '../src/codec.ts';
import { isoTime } from '../src/event.ts';
import { processRecordFromWire, terminalName } from '../src/process-record.ts';
import { decodeWaitStatus } from '../src/wait-status.ts';
import { wireProcess } from './arbitraries.ts';
import { vectorOf } from './vectors.ts';

const malformed = expect.objectContaining({ name: 'ProcbusError', code: 'bad-message' }) as unknown;
const offset = 1763824642123456789n;
/** When the snapshots of the vectors are true. */
const taken = 2364695292613n;

const processesIn = (name: string): Record<string, unknown>[] =>
  vectorOf(name).value[2] as Record<string, unknown>[];

describe('a process of a snapshot', () => {
  test('is read as it was sent, its times as dates', () => {
    // Beyond 2270 there are no dates to compare with; a helper has been up for less.
    const clockOffset = 2n ** 60n;
    fc.assert(
      fc.property(wireProcess, (sent) => {
        const { startTime, endTime, tty, status, ...same } = sent;
        const now = 2n ** 61n;
        expect(processRecordFromWire(unpack(pack(sent)), now, clockOffset)).toEqual({
          ...same,
          ...(tty === 0 ? {} : { tty: terminalName(tty) }),
          startTime: isoTime(startTime + clockOffset),
          ...(endTime === undefined ? {} : { endTime: isoTime(endTime + clockOffset) }),
          runtime: Number((endTime ?? now) - startTime) / 1e9,
          ...(status === undefined ? {} : { status, ...decodeWaitStatus(status) }),
        });
      }),
      { numRuns: 500 },
    );
  });

  test('that lives has neither end nor status, and has lived until the snapshot', () => {
    const [shell] = processesIn('processes');
    expect(processRecordFromWire(shell, taken, offset)).toEqual({
      pid: 1200,
      ppid: 1,
      id: '1200.td2bzmyo',
      comm: 'bash',
      detail: 'complete',
      exe: '/usr/bin/bash',
      args: ['-bash'],
      cgroup: '/user.slice/user-1000.slice/session-1.scope',
      user: 'deploy',
      uid: 1000,
      euid: 1000,
      gid: 1000,
      egid: 1000,
      sid: 1200,
      tty: 'pts/3',
      startTime: '2025-11-22T15:55:43.123456Z',
      runtime: 63.695292613,
    });
  });

  test('may be older than the zero of the clock', () => {
    const [, kernelThread] = processesIn('processes');
    const record = processRecordFromWire(kernelThread, taken, offset);
    expect(record).toMatchObject({ startTime: '2025-11-22T14:17:22.123456Z', runtime: 5964.695292613 });
    expect(record).not.toHaveProperty('tty');
  });

  test('that has ended has its end and its status, and has lived until then', () => {
    const [make] = processesIn('processes-ended');
    expect(processRecordFromWire(make, taken, offset)).toMatchObject({
      endTime: '2025-11-22T15:56:46.812649Z',
      runtime: 0.003,
      status: 768,
      exitCode: 3,
      cwd: '/srv/app',
    });
  });

  test('whose end nobody saw has no status', () => {
    const [, unseen] = processesIn('processes-ended');
    const record = processRecordFromWire(unseen, taken, offset);
    expect(record).toMatchObject({ detail: 'gone', comm: '', runtime: 0.007 });
    for (const field of ['status', 'exitCode', 'signal']) expect(record).not.toHaveProperty(field);
  });

  test('reads the same as JSON: nothing in it is a bigint or undefined', () => {
    fc.assert(
      fc.property(wireProcess, (sent) => {
        const record = processRecordFromWire(sent, 2n ** 61n, 0n);
        expect(JSON.parse(JSON.stringify(record))).toEqual(record);
      }),
    );
  });

  test('of a later version is read without what is new in it', () => {
    const [shell] = processesIn('processes');
    const later = { ...shell, mood: 'sunny' };
    expect(processRecordFromWire(later, taken, offset)).toEqual(processRecordFromWire(shell, taken, offset));
  });

  test.each<[string, unknown]>([
    ['nil', null],
    ['missing', undefined],
    ['a list', []],
    ['a number', 1],
    ['an empty map', {}],
  ])('that is malformed is refused: %s', (_name, value) => {
    expect(() => processRecordFromWire(value, taken, offset)).toThrow(malformed);
  });

  const required = 'pid ppid id comm detail uid euid gid egid sid tty startTime'.split(' ');

  test.each(required)('that is malformed is refused: without its %s, or with one of nil', (field) => {
    const [shell] = processesIn('processes');
    const { [field]: _, ...rest } = shell as Record<string, unknown>;
    expect(() => processRecordFromWire(rest, taken, offset)).toThrow(malformed);
    expect(() => processRecordFromWire({ ...rest, [field]: null }, taken, offset)).toThrow(malformed);
  });

  test.each<[string, unknown]>([
    ['pid', 1.5],
    ['uid', '0'],
    ['tty', 'pts/3'],
    ['startTime', 1.5],
    ['startTime', '2025-11-22'],
    ['endTime', null],
    ['status', null],
    ['status', 2n ** 60n],
    ['args', [1]],
    ['ancestors', [1]],
  ])('that is malformed is refused: with the %s %s', (field, value) => {
    const [shell] = processesIn('processes');
    expect(() => processRecordFromWire({ ...shell, [field]: value }, taken, offset)).toThrow(malformed);
  });
});

/** A device number as the kernel encodes it in /proc, see new_encode_dev in its kdev_t.h. */
const deviceOf = (major: number, minor: number): number =>
  (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);

describe('terminalName', () => {
  test.each([
    [34819, 'pts/3'],
    [deviceOf(136, 0), 'pts/0'],
    [deviceOf(136, 255), 'pts/255'],
    [deviceOf(136, 256), 'pts/256'],
    [deviceOf(136, 1_048_575), 'pts/1048575'],
    [deviceOf(4, 0), 'tty0'],
    [deviceOf(4, 1), 'tty1'],
    [deviceOf(4, 63), 'tty63'],
    [deviceOf(4, 64), 'ttyS0'],
    [deviceOf(4, 255), 'ttyS191'],
    [deviceOf(5, 1), 'console'],
    [deviceOf(5, 2), '5:2'],
    [deviceOf(204, 64), '204:64'],
    [deviceOf(229, 300), '229:300'],
  ])('of %i is %s', (device, name) => {
    expect(terminalName(device)).toBe(name);
  });

  test('of a device without a name of its own is its major and minor number', () => {
    const major = fc.integer({ min: 144, max: 4095 });
    fc.assert(
      fc.property(major, fc.integer({ min: 0, max: 1_048_575 }), (a, b) => {
        expect(terminalName(deviceOf(a, b))).toBe(`${a}:${b}`);
      }),
    );
  });
});
