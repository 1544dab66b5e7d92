import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import type { KernelEvent } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { decodeDatagram } from '../src/kernel/datagram.ts';

interface Recorded {
  readonly name: string;
  readonly hex: string;
}

const fixture = new URL('./fixtures/datagrams.json', import.meta.url);
const { datagrams } = JSON.parse(readFileSync(fixture, 'utf8')) as { datagrams: Recorded[] };

const recorded = (name: string): Buffer => {
  const found = datagrams.find((datagram) => datagram.name === name);
  if (found === undefined) throw new Error(`no datagram ${name}`);
  return Buffer.from(found.hex, 'hex');
};

/** Decodes a datagram that lies, as in the ring, some words into memory full of something else. */
function decode(datagram: Buffer): KernelEvent | undefined {
  const at = 3;
  const memory = Buffer.alloc(256, 0xee);
  datagram.copy(memory, 4 * at);
  const words = new Uint32Array(memory.buffer, memory.byteOffset, 64);
  return decodeDatagram(words, at, datagram.length, datagram.readBigUInt64LE(44));
}

const events: Record<string, KernelEvent | undefined> = {
  acknowledgement: undefined,
  'fork-process': {
    type: 'fork',
    kernelTime: 3263024148659n,
    cpu: 1,
    pid: 11389,
    tid: 11389,
    ppid: 11388,
    ptid: 11388,
  },
  'exit-3': {
    type: 'exit',
    kernelTime: 3263025994715n,
    cpu: 0,
    pid: 11389,
    tid: 11389,
    status: 768,
    ppid: 11388,
  },
  exec: { type: 'exec', kernelTime: 3263129162758n, cpu: 1, pid: 11390, tid: 11390 },
  'exit-0': {
    type: 'exit',
    kernelTime: 3263130037810n,
    cpu: 1,
    pid: 11390,
    tid: 11390,
    status: 0,
    ppid: 11388,
  },
  uid: { type: 'uid', kernelTime: 3263232819970n, cpu: 1, pid: 11391, tid: 11391, uid: 1001, euid: 1002 },
  gid: { type: 'gid', kernelTime: 3263286355322n, cpu: 1, pid: 11392, tid: 11392, gid: 2001, egid: 2002 },
  sid: { type: 'sid', kernelTime: 3263338770716n, cpu: 1, pid: 11393, tid: 11393 },
  comm: { type: 'comm', kernelTime: 3263391714261n, cpu: 1, pid: 11394, tid: 11394, comm: 'worker:3' },
  'comm-escape': {
    type: 'comm',
    kernelTime: 3263444303047n,
    cpu: 1,
    pid: 11395,
    tid: 11395,
    comm: '\u001b[31mbad',
  },
  'comm-cut': {
    type: 'comm',
    kernelTime: 3263496484237n,
    cpu: 1,
    pid: 11396,
    tid: 11396,
    comm: '\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\ufffd',
  },
  'ptrace-attach': {
    type: 'ptrace',
    kernelTime: 3263548158156n,
    cpu: 1,
    pid: 11397,
    tid: 11397,
    tracerPid: 11388,
    tracerTid: 11388,
  },
  'ptrace-detach': {
    type: 'ptrace',
    kernelTime: 3263598684041n,
    cpu: 1,
    pid: 11397,
    tid: 11397,
    tracerPid: 0,
    tracerTid: 0,
  },
  'ptrace-by-thread': {
    type: 'ptrace',
    kernelTime: 3263651464322n,
    cpu: 0,
    pid: 11397,
    tid: 11397,
    tracerPid: 11398,
    tracerTid: 11399,
  },
  'exit-killed': {
    type: 'exit',
    kernelTime: 3263703417397n,
    cpu: 1,
    pid: 11397,
    tid: 11397,
    status: 9,
    ppid: 11388,
  },
  coredump: { type: 'coredump', kernelTime: 3263755847690n, cpu: 1, pid: 11400, tid: 11400, ppid: 11388 },
  'exit-core-dumped': {
    type: 'exit',
    kernelTime: 3263773642426n,
    cpu: 1,
    pid: 11400,
    tid: 11400,
    status: 139,
    ppid: 11388,
  },
  'fork-thread': {
    type: 'fork',
    kernelTime: 3263876265460n,
    cpu: 1,
    pid: 11401,
    tid: 11402,
    ppid: 11388,
    ptid: 11388,
  },
  'comm-thread': {
    type: 'comm',
    kernelTime: 3263876577843n,
    cpu: 1,
    pid: 11401,
    tid: 11402,
    comm: 'helper-thread',
  },
  'fork-by-thread': {
    type: 'fork',
    kernelTime: 3263876919710n,
    cpu: 1,
    pid: 11403,
    tid: 11403,
    ppid: 11401,
    ptid: 11402,
  },
  'exit-child-of-thread': {
    type: 'exit',
    kernelTime: 3263878153504n,
    cpu: 0,
    pid: 11403,
    tid: 11403,
    status: 0,
    ppid: 11401,
  },
  'exit-thread': {
    type: 'exit',
    kernelTime: 3263878370426n,
    cpu: 1,
    pid: 11401,
    tid: 11402,
    status: 0,
    ppid: 0,
  },
  'coredump-thread': {
    type: 'coredump',
    kernelTime: 3264182746856n,
    cpu: 1,
    pid: 11404,
    tid: 11405,
    ppid: 11388,
  },
  'exit-aborted': {
    type: 'exit',
    kernelTime: 3264183534002n,
    cpu: 0,
    pid: 11404,
    tid: 11404,
    status: 6,
    ppid: 11388,
  },
};

describe.runIf(endianness() === 'LE')('a recorded datagram', () => {
  test('is expected by name', () => {
    expect(datagrams.map(({ name }) => name)).toEqual(Object.keys(events));
  });

  test.each(datagrams)('$name is decoded', ({ name }) => {
    expect(decode(recorded(name))).toEqual(events[name]);
  });

  test('of a helper that asked for another connector is none', () => {
    const datagram = recorded('exec');
    datagram.writeUInt32LE(2, 16);
    expect(decode(datagram)).toBeUndefined();
    datagram.writeUInt32LE(1, 16);
    datagram.writeUInt32LE(2, 20);
    expect(decode(datagram)).toBeUndefined();
  });

  test('of a type that is new is none', () => {
    const datagram = recorded('exec');
    datagram.writeUInt32LE(0x400, 36);
    expect(decode(datagram)).toBeUndefined();
  });
});

describe.runIf(endianness() === 'LE')('a datagram of an older kernel', () => {
  test.each<[string, number, object]>([
    // Before 4.18 an exit had no parent.
    ['exit-3', 68, { status: 768, ppid: 0 }],
    ['exit-3', 60, { status: 0, ppid: 0 }],
    ['exit-child-of-thread', 72, { ppid: 0 }],
    ['coredump', 60, { ppid: 0 }],
    ['coredump', 64, { ppid: 0 }],
    ['uid', 64, { uid: 1001, euid: 0 }],
    ['gid', 60, { gid: 0, egid: 0 }],
    ['ptrace-attach', 60, { tracerPid: 0, tracerTid: 0 }],
    ['comm', 64, { comm: 'work' }],
    ['comm', 60, { comm: '' }],
    ['exec', 60, {}],
    ['sid', 60, {}],
  ])('%s of %i bytes has 0 for what is missing', (name, bytes, missing) => {
    expect(decode(recorded(name).subarray(0, bytes))).toEqual({ ...events[name], ...missing });
  });

  test.each(datagrams)('$name without a pid and a tgid is none', ({ name }) => {
    for (let bytes = 52; bytes < 60; bytes++) {
      expect(decode(recorded(name).subarray(0, bytes))).toBeUndefined();
    }
  });
});
