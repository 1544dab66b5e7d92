/*
 * Events on their way to the wire: packed as they come, in as many parts as it takes for each to fit into one message.
 */
import { pack } from './codec.ts';
import { eventTypes, type EventType, type KernelEvent } from './event.ts';
import { maxHelperPayload } from './frame.ts';
import { Packer } from './packer.ts';

/** What an event says beside the kernel's word, its processes packed already; see {@link Circumstances}. */
export interface PackedCircumstances {
  readonly process: Uint8Array;
  readonly parent?: Uint8Array | undefined;
  /** Seconds. */
  readonly runtime?: number | undefined;
}

/** Some events, packed as an array. */
export interface PackedEvents {
  readonly packed: Buffer;
  readonly count: number;
  /** The numbers of the first and the last. */
  readonly from: number;
  readonly to: number;
}

/** Bytes of packed events in one message at most; the rest of it takes less than 64. */
const longestPart = maxHelperPayload - 64;
/** Of the array: its kind and its length. */
const headBytes = 3;
/** More do not fit into the length. */
const mostEvents = 0xffff;

const names = new Map<EventType, Buffer>(eventTypes.map((type) => [type, pack(type)]));
const keys = {
  process: pack('process'),
  parent: pack('parent'),
  runtime: pack('runtime'),
  synthetic: pack('synthetic'),
};

export class EventWriter {
  readonly #packer = new Packer();
  #parts: PackedEvents[] = [];
  #count = 0;
  #from = 0;
  #to = 0;

  /** Events that wait to be taken. */
  get count(): number {
    return this.#parts.reduce((sum, part) => sum + part.count, this.#count);
  }

  /** Adds the next event, as `[type, seq, kernelTime, cpu, pid, tid, circumstances, …]`, see `docs/protocol.md`. */
  add(seq: number, event: KernelEvent, circumstances: PackedCircumstances): void {
    const { length } = this.#packer;
    this.#write(seq, event, circumstances);
    if (this.#count > 0 && (headBytes + this.#packer.length > longestPart || this.#count === mostEvents)) {
      this.#cut(length);
    }
    if (this.#count++ === 0) this.#from = seq;
    this.#to = seq;
  }

  /** Takes all that was added. */
  take(): PackedEvents[] {
    if (this.#count > 0) this.#cut(this.#packer.length);
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  #cut(end: number): void {
    const packed = Buffer.allocUnsafe(headBytes + end);
    packed[0] = 0xdc;
    packed.writeUInt16BE(this.#count, 1);
    this.#packer.copyTo(packed, headBytes, end);
    this.#packer.dropBefore(end);
    this.#parts.push({ packed, count: this.#count, from: this.#from, to: this.#to });
    this.#count = 0;
  }

  #write(seq: number, event: KernelEvent, circumstances: PackedCircumstances): void {
    const packer = this.#packer;
    packer.shortArray(7 + extraFields[event.type]);
    packer.packed(names.get(event.type) as Buffer);
    packer.count(seq);
    packer.int64(event.kernelTime);
    packer.number(event.cpu);
    packer.number(event.pid);
    packer.number(event.tid);
    this.#writeCircumstances(circumstances, event.synthetic === true);
    switch (event.type) {
      case 'fork':
        packer.number(event.ppid);
        packer.number(event.ptid);
        break;
      case 'exit':
        if (event.status === undefined) packer.nil();
        else packer.number(event.status);
        packer.number(event.ppid);
        break;
      case 'uid':
        packer.number(event.uid);
        packer.number(event.euid);
        break;
      case 'gid':
        packer.number(event.gid);
        packer.number(event.egid);
        break;
      case 'ptrace':
        packer.number(event.tracerPid);
        packer.number(event.tracerTid);
        break;
      case 'comm':
        packer.text(event.comm);
        break;
      case 'coredump':
        packer.number(event.ppid);
        break;
      case 'exec':
      case 'sid':
        break;
    }
  }

  #writeCircumstances({ process, parent, runtime }: PackedCircumstances, isSynthetic: boolean): void {
    const packer = this.#packer;
    packer.shortMap(1 + Number(parent !== undefined) + Number(runtime !== undefined) + Number(isSynthetic));
    packer.packed(keys.process);
    packer.packed(process);
    if (parent !== undefined) {
      packer.packed(keys.parent);
      packer.packed(parent);
    }
    if (runtime !== undefined) {
      packer.packed(keys.runtime);
      packer.number(runtime);
    }
    if (isSynthetic) {
      packer.packed(keys.synthetic);
      packer.true();
    }
  }
}

/** How many fields follow the circumstances. */
const extraFields: Readonly<Record<EventType, number>> = {
  fork: 2,
  exec: 0,
  exit: 2,
  uid: 2,
  gid: 2,
  sid: 0,
  ptrace: 2,
  comm: 1,
  coredump: 1,
};
