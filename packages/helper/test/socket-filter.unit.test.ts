import { endianness } from 'node:os';
import { eventTypes, isThreadEvent, parseFilter, type EventType } from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { what } from '../src/kernel/datagram.ts';
import {
  assemble,
  interestOf,
  onlyOn,
  ownInterest,
  socketFilter,
  unionOf,
  type Instruction,
  type Interest,
} from '../src/kernel/socket-filter.ts';

/**
 * Runs a program as the kernel would: the few opcodes in use, from Documentation/networking/filter.rst.
 * A load from behind the end drops the datagram.
 */
function run(program: readonly Instruction[], datagram: Buffer): number {
  let accumulator = 0;
  let x = 0;
  for (let at = 0; ; at++) {
    const instruction = program[at];
    if (instruction === undefined) throw new Error(`ran out of the program at ${at}`);
    const { code, k, jumpTrue, jumpFalse } = instruction;
    switch (code) {
      case 0x20: // ld [k]
        if (k + 4 > datagram.length) return 0;
        accumulator = datagram.readUInt32BE(k);
        break;
      case 0x30: // ldb [k]
        if (k + 1 > datagram.length) return 0;
        accumulator = datagram[k] as number;
        break;
      case 0x54: // and #k
        accumulator &= k;
        break;
      case 0x07: // tax
        x = accumulator;
        break;
      case 0x15: // jeq #k
        at += accumulator === k ? jumpTrue : jumpFalse;
        break;
      case 0x1d: // jeq x
        at += accumulator === x ? jumpTrue : jumpFalse;
        break;
      case 0x06: // ret #k
        return k;
      default:
        throw new Error(`opcode 0x${code.toString(16)} at ${at}`);
    }
  }
}

interface Told {
  readonly type: EventType;
  readonly pid: number;
  readonly tid: number;
  /** For a fork, who called it. */
  readonly ppid: number;
  readonly ptid: number;
}

/** Lays an event out as the kernel does, in host byte order. */
function datagramOf({ type, pid, tid, ppid, ptid }: Told): Buffer {
  const words = new Uint32Array(19);
  words[9] = what[type];
  words.set(type === 'fork' ? [ptid, ppid, tid, pid] : [tid, pid, 0, 0], 13);
  return Buffer.from(words.buffer);
}

const subset = (of: readonly EventType[]): fc.Arbitrary<ReadonlySet<EventType>> =>
  fc.subarray([...of]).map((types) => new Set(types));

/** Threads are only ever wanted of types that are wanted of processes. */
const interest: fc.Arbitrary<Interest> = subset(eventTypes).chain((processes) =>
  fc.record({ processes: fc.constant(processes), threads: subset([...processes]) }),
);

const id = fc.constantFrom(1, 2, 0x0100, 0x01000000, 4_194_304);
const told: fc.Arbitrary<Told> = fc.record({
  type: fc.constantFrom(...eventTypes),
  pid: id,
  tid: id,
  ppid: id,
  ptid: id,
});

/** The pid of no process. */
const nobody = 0;

describe('the program of an interest', () => {
  test('accepts what the interest says, and nothing else', () => {
    fc.assert(
      fc.property(interest, told, fc.boolean(), (wanted, event, own) => {
        const accepted = isThreadEvent(event)
          ? wanted.threads.has(event.type)
          : wanted.processes.has(event.type);
        // Of its own process the helper needs a comm event from time to time, whoever wants them.
        const pulse = own && event.type === 'comm' && !wanted.processes.has('comm');
        const program = socketFilter(wanted, own ? event.pid : event.pid + 1);
        expect(run(program, datagramOf(event))).toBe(accepted || pulse ? 0xffffffff : 0);
      }),
      { numRuns: 5000 },
    );
  });

  test('on a share of the CPUs accepts the same of these, and nothing of the others', () => {
    const share = fc
      .constantFrom(1, 2, 4, 256)
      .chain((of) => fc.record({ of: fc.constant(of), index: fc.nat(of - 1) }));
    fc.assert(
      fc.property(interest, told, share, fc.nat(600), (wanted, event, of, cpu) => {
        const program = socketFilter(wanted, nobody);
        const datagram = datagramOf(event);
        new Uint32Array(datagram.buffer)[10] = cpu;
        const expected = cpu % of.of === of.index ? run(program, datagram) : 0;
        expect(run([...onlyOn(of), ...program], datagram)).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  test('accepts what any of several filters matches', () => {
    const events = fc.uniqueArray(fc.constantFrom(...eventTypes), { minLength: 1 });
    const filters = fc.array(fc.record({ events, threads: fc.boolean() }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(filters, told, (requests, event) => {
        const program = socketFilter(
          unionOf(requests.map((request) => interestOf(parseFilter(request)))),
          nobody,
        );
        const accepted = run(program, datagramOf(event)) > 0;
        const matched = requests.some(
          (request) => request.events.includes(event.type) && (request.threads || !isThreadEvent(event)),
        );
        expect(accepted || !matched).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('drops what is no event of a process: an acknowledgement, a type that is new', () => {
    const everything: Interest = { processes: new Set(eventTypes), threads: new Set(eventTypes) };
    for (const type of [0, 0x400, 0x20000000]) {
      const words = new Uint32Array(19);
      words[9] = type;
      expect(run(socketFilter(everything, nobody), Buffer.from(words.buffer))).toBe(0);
    }
  });

  test('drops a datagram that is cut off before what it has to look at', () => {
    const processes: Interest = { processes: new Set(eventTypes), threads: new Set() };
    const datagram = datagramOf({ type: 'exec', pid: 1, tid: 1, ppid: 0, ptid: 0 });
    expect(run(socketFilter(processes, nobody), datagram.subarray(0, 59))).toBe(0);
    expect(run(socketFilter(processes, nobody), datagram.subarray(0, 60))).toBe(0xffffffff);
  });

  test('passes the kernel’s checks: not too long, jumps stay inside, and it ends in a return', () => {
    fc.assert(
      fc.property(interest, (wanted) => {
        const program = socketFilter(wanted, nobody);
        expect(program.length).toBeLessThanOrEqual(4096);
        expect(program.at(-1)?.code).toBe(0x06);
        program.forEach(({ code, jumpTrue, jumpFalse, k }, at) => {
          const isJump = (code & 0x07) === 0x05;
          const farthest = at + 1 + (isJump ? Math.max(jumpTrue, jumpFalse) : 0);
          expect(farthest).toBeLessThan(program.length + (isJump ? 0 : 1));
          for (const jump of [jumpTrue, jumpFalse]) expect(jump).toBeLessThanOrEqual(255);
          expect(k).toBe(k >>> 0);
        });
      }),
    );
  });

  test.runIf(endianness() === 'LE')('is laid out as an array of struct sock_filter', () => {
    expect(Buffer.from(assemble([{ code: 0x15, jumpTrue: 1, jumpFalse: 2, k: 0x0a0b0c0d }]))).toEqual(
      Buffer.from('150001020d0c0b0a', 'hex'),
    );
  });
});

describe('the interest of a filter', () => {
  test('is what it asks for', () => {
    expect(interestOf(parseFilter({ events: ['exec', 'comm'] }))).toEqual({
      processes: new Set(['exec', 'comm']),
      threads: new Set(),
    });
    expect(interestOf(parseFilter({ events: ['comm'], threads: true }))).toEqual({
      processes: new Set(['comm']),
      threads: new Set(['comm']),
    });
  });

  test('in exits of threads is one in no other events of threads', () => {
    expect(unionOf([ownInterest, interestOf(parseFilter({ events: ['exit'], threads: true }))])).toEqual({
      processes: new Set(eventTypes),
      threads: new Set(['exit']),
    });
  });

  test('of the helper is in all that processes do, and in nothing that single threads do', () => {
    expect(ownInterest).toEqual({ processes: new Set(eventTypes), threads: new Set() });
  });

  test('leaves the filter as it is', () => {
    const filter = parseFilter({ events: ['exit'] });
    interestOf(filter);
    expect([...filter.events]).toEqual(['exit']);
  });

  test('of nobody is in nothing', () => {
    expect(unionOf([])).toEqual({ processes: new Set(), threads: new Set() });
  });
});
