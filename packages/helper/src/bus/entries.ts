/*
 * A queue of entries of the journal, laid out in columns.
 *
 * Idea: tens of thousands of events stay for minutes, and hardly one is ever asked for again. As objects, each
 * would be looked at by the collector over and over; as numbers in columns none is. An entry is made into an
 * object again for who reads it.
 */
import { eventTypes, type EventType, type KernelEvent, type Loss } from '@procbus/protocol';
import type { Portrait } from '../processes/portrait.ts';
import type { Told } from '../processes/told.ts';

/** An event with its number. */
export interface Moment extends Told {
  readonly seq: number;
}

/** What happened, in its place. */
export type Entry = Moment | Loss;

/** The number of an entry; the last one of a loss. */
export function numberOf(entry: Entry): number {
  return 'where' in entry ? entry.to : entry.seq;
}

/** What few entries have, and no column. */
type Extra = Loss | Pick<Moment, 'formerUid'> | { readonly comm: string };

/** Entries that lie together: columns are made, and given up, for so many at a time. */
const pageSize = 1024;

/** In place of the type of an event. */
const isLoss = 0xff;
/** Bits beside the type of an event. */
const isSynthetic = 0x80;
const hasStatus = 0x40;
const typeBits = 0x3f;

const numberOfType = new Map<EventType, number>(eventTypes.map((type, index) => [type, index]));

class Page {
  /** Of a loss, its last one. */
  readonly seqs = new Float64Array(pageSize);
  readonly times = new BigInt64Array(pageSize);
  readonly kinds = new Uint8Array(pageSize);
  readonly cpus = new Int32Array(pageSize);
  readonly pids = new Uint32Array(pageSize);
  readonly tids = new Uint32Array(pageSize);
  /** What is particular to a type: at most two numbers. */
  readonly firsts = new Uint32Array(pageSize);
  readonly seconds = new Uint32Array(pageSize);
  readonly processes: (Portrait | undefined)[] = Array.from({ length: pageSize });
  readonly extras = new Map<number, Extra>();

  set(at: number, entry: Entry): void {
    if ('where' in entry) {
      this.seqs[at] = entry.to;
      this.times[at] = entry.kernelTime;
      this.kinds[at] = isLoss;
      this.extras.set(at, entry);
      return;
    }
    const { seq, event, process, formerUid } = entry;
    this.seqs[at] = seq;
    this.times[at] = event.kernelTime;
    this.kinds[at] = numberOfType.get(event.type) as number;
    this.cpus[at] = event.cpu;
    this.pids[at] = event.pid;
    this.tids[at] = event.tid;
    this.processes[at] = process;
    this.#setRest(at, event);
    if (event.synthetic === true) this.#mark(at, isSynthetic);
    if (formerUid !== undefined) this.extras.set(at, { formerUid });
  }

  get(at: number): Entry {
    const extra = this.extras.get(at);
    if (this.kinds[at] === isLoss) return extra as Loss;
    return {
      seq: this.seqs[at] as number,
      event: this.#event(at),
      process: this.processes[at] as Portrait,
      ...(extra !== undefined && 'formerUid' in extra ? extra : {}),
    };
  }

  #setRest(at: number, event: KernelEvent): void {
    switch (event.type) {
      case 'fork':
        this.#setPair(at, event.ppid, event.ptid);
        break;
      case 'exit':
        this.#setPair(at, event.status ?? 0, event.ppid);
        if (event.status !== undefined) this.#mark(at, hasStatus);
        break;
      case 'uid':
        this.#setPair(at, event.uid, event.euid);
        break;
      case 'gid':
        this.#setPair(at, event.gid, event.egid);
        break;
      case 'ptrace':
        this.#setPair(at, event.tracerPid, event.tracerTid);
        break;
      case 'coredump':
        this.#setPair(at, event.ppid, 0);
        break;
      case 'comm':
        this.extras.set(at, { comm: event.comm });
        break;
      case 'exec':
      case 'sid':
        break;
    }
  }

  #mark(at: number, bit: number): void {
    this.kinds[at] = (this.kinds[at] as number) | bit;
  }

  #setPair(at: number, first: number, second: number): void {
    this.firsts[at] = first;
    this.seconds[at] = second;
  }

  #event(at: number): KernelEvent {
    const kind = this.kinds[at] as number;
    const type = eventTypes[kind & typeBits] as EventType;
    const first = this.firsts[at] as number;
    const second = this.seconds[at] as number;
    const stamp = {
      kernelTime: this.times[at] as bigint,
      cpu: this.cpus[at] as number,
      pid: this.pids[at] as number,
      tid: this.tids[at] as number,
      ...((kind & isSynthetic) === 0 ? {} : { synthetic: true as const }),
    };
    switch (type) {
      case 'fork':
        return { type, ...stamp, ppid: first, ptid: second };
      case 'exit':
        return { type, ...stamp, ...((kind & hasStatus) === 0 ? {} : { status: first }), ppid: second };
      case 'uid':
        return { type, ...stamp, uid: first, euid: second };
      case 'gid':
        return { type, ...stamp, gid: first, egid: second };
      case 'ptrace':
        return { type, ...stamp, tracerPid: first, tracerTid: second };
      case 'coredump':
        return { type, ...stamp, ppid: first };
      case 'comm':
        return { type, ...stamp, comm: (this.extras.get(at) as { comm: string }).comm };
      case 'exec':
      case 'sid':
        return { type, ...stamp };
    }
  }
}

export class Entries {
  #pages: Page[] = [];
  /** Places of the first page that are empty again. */
  #gone = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(entry: Entry): void {
    const place = this.#gone + this.#length++;
    if (place === this.#pages.length * pageSize) this.#pages.push(new Page());
    this.#page(place).set(place % pageSize, entry);
  }

  get(index: number): Entry {
    const place = this.#gone + index;
    return this.#page(place).get(place % pageSize);
  }

  /** {@link numberOf} an entry. */
  numberAt(index: number): number {
    const place = this.#gone + index;
    return this.#page(place).seqs[place % pageSize] as number;
  }

  /** When it happened, in ns of CLOCK_MONOTONIC. */
  timeAt(index: number): bigint {
    const place = this.#gone + index;
    return this.#page(place).times[place % pageSize] as bigint;
  }

  /** The process that it is about; none for a loss. */
  processAt(index: number): Portrait | undefined {
    const place = this.#gone + index;
    return this.#page(place).processes[place % pageSize];
  }

  /** Drops the first one. */
  shift(): void {
    this.#page(this.#gone).processes[this.#gone] = undefined;
    this.#length--;
    if (++this.#gone < pageSize) return;
    this.#pages.shift();
    this.#gone = 0;
  }

  #page(place: number): Page {
    return this.#pages[Math.floor(place / pageSize)] as Page;
  }
}
