/*
 * Events as they come over the wire, each read when somebody wants it.
 */
import { isMap, unpack } from './codec.ts';
import { ProcbusError } from './errors.ts';
import { EventClock } from './event-clock.ts';
import { eventTypes, type EventType, type ProcessEvent } from './event.ts';
import { processFromWire, type Circumstances, type Detail, type ProcessInfo } from './process.ts';
import { Unpacker } from './unpacker.ts';
import { decodeWaitStatus } from './wait-status.ts';

/** Number and time of an event. */
export interface EventStampOnWire {
  readonly seq: number;
  /** ns of CLOCK_MONOTONIC. */
  readonly kernelTime: bigint;
}

const known: ReadonlySet<string> = new Set(eventTypes);

/** An event as far as most need it to see whether it is for them; the rest is read when it is asked for. */
export class EventView {
  readonly type: string;
  readonly seq: number;
  readonly pid: number;
  readonly tid: number;
  readonly #reader: EventReader;
  readonly #at: number;

  /** @internal Use {@link EventReader.nextView}. */
  constructor(reader: EventReader, at: number, type: string, seq: number, pid: number, tid: number) {
    this.#reader = reader;
    this.#at = at;
    this.type = type;
    this.seq = seq;
    this.pid = pid;
    this.tid = tid;
  }

  /**
   * All of it; undefined for a type of event that this version does not know.
   *
   * @throws ProcbusError `bad-message`
   */
  get event(): ProcessEvent | undefined {
    return this.#reader.eventAt(this.#at);
  }
}

/** A list of packed events, read from the first to the last. */
export class EventReader {
  /** Events that are still to be read. */
  left: number;
  readonly clockOffset: bigint;
  readonly #unpacker: Unpacker;
  readonly #clock: EventClock;

  /**
   * @param bytes - a packed array of events, as {@link EventWriter} makes it, whole
   * @param clockOffset - ns to add to a kernel time for the time since 1970
   * @throws ProcbusError `bad-message` where it is no array
   */
  constructor(bytes: Buffer, clockOffset: bigint) {
    this.#unpacker = new Unpacker(bytes);
    this.left = this.#unpacker.array();
    this.clockOffset = clockOffset;
    this.#clock = new EventClock(clockOffset);
  }

  /**
   * Number and time of the next event, which stays the next.
   *
   * @throws ProcbusError `bad-message`
   */
  get stamp(): EventStampOnWire {
    const { at } = this.#unpacker;
    try {
      this.#unpacker.array();
      this.#unpacker.pass();
      return { seq: this.#unpacker.integer(), kernelTime: this.#unpacker.int64() };
    } finally {
      this.#unpacker.at = at;
    }
  }

  /** Passes the next event. */
  skip(): void {
    this.#unpacker.pass();
    this.left--;
  }

  /**
   * Reads the next event; what lies behind the fields that are known is ignored.
   *
   * @returns undefined for a type of event that this version does not know
   * @throws ProcbusError `bad-message`; the event is passed all the same
   */
  next(): ProcessEvent | undefined {
    this.left--;
    return this.#readWhole();
  }

  /**
   * The next event, read as far as its tid.
   *
   * @throws ProcbusError `bad-message` or `bad-frame`
   */
  nextView(): EventView {
    const unpacker = this.#unpacker;
    const { at } = unpacker;
    this.left--;
    const fields = unpacker.array();
    const type = unpacker.text();
    const seq = unpacker.integer();
    unpacker.pass();
    unpacker.pass();
    const view = new EventView(this, at, type, seq, unpacker.integer(), unpacker.integer());
    for (let field = 6; field < fields; field++) unpacker.pass();
    return view;
  }

  /** @internal The event at a place; which one is the next stays as it is. */
  eventAt(at: number): ProcessEvent | undefined {
    const unpacker = this.#unpacker;
    const { at: next } = unpacker;
    unpacker.at = at;
    try {
      return this.#readWhole();
    } finally {
      unpacker.at = next;
    }
  }

  #readWhole(): ProcessEvent | undefined {
    const unpacker = this.#unpacker;
    const { at } = unpacker;
    try {
      const fields = unpacker.array();
      const event = this.#read();
      // Whatever a later version says beside.
      if (event !== undefined && fields <= 7 + extraFields[event.type]) return event;
      this.#passTo(at);
      return event;
    } catch (error) {
      this.#passTo(at);
      throw error;
    }
  }

  #passTo(at: number): void {
    this.#unpacker.at = at;
    this.#unpacker.pass();
  }

  #read(): ProcessEvent | undefined {
    const unpacker = this.#unpacker;
    if (!unpacker.isText) throw malformed('a type that is no text');
    const type = unpacker.text() as EventType;
    if (!known.has(type)) return undefined;
    const seq = unpacker.integer();
    const clock = this.#clock.read(unpacker);
    const { kernelTime, time } = clock;
    const cpu = unpacker.integer();
    const pid = unpacker.integer();
    const tid = unpacker.integer();
    const told = circumstances(unpacker);
    const { process } = told;
    switch (type) {
      case 'fork': {
        const ppid = unpacker.integer();
        const ptid = unpacker.integer();
        return withRest({ type, seq, time, kernelTime, cpu, pid, tid, ppid, ptid, process }, told);
      }
      case 'exit': {
        const stamp = { type, seq, time, kernelTime, cpu, pid, tid };
        if (unpacker.nil()) return withRest({ ...stamp, ppid: unpacker.integer(), process }, told);
        const status = unpacker.integer();
        const end = decodeWaitStatus(status);
        const ppid = unpacker.integer();
        if (end.exitCode === undefined) return withRest({ ...stamp, status, ...end, ppid, process }, told);
        const { exitCode } = end;
        return withRest(
          { type, seq, time, kernelTime, cpu, pid, tid, status, exitCode, ppid, process },
          told,
        );
      }
      case 'exec':
      case 'sid':
        return withRest({ type, seq, time, kernelTime, cpu, pid, tid, process }, told);
      case 'uid': {
        const uid = unpacker.integer();
        const euid = unpacker.integer();
        return withRest({ type, seq, time, kernelTime, cpu, pid, tid, uid, euid, process }, told);
      }
      case 'gid': {
        const gid = unpacker.integer();
        const egid = unpacker.integer();
        return withRest({ type, seq, time, kernelTime, cpu, pid, tid, gid, egid, process }, told);
      }
      case 'ptrace': {
        const tracerPid = unpacker.integer();
        const tracerTid = unpacker.integer();
        return withRest({ type, seq, time, kernelTime, cpu, pid, tid, tracerPid, tracerTid, process }, told);
      }
      case 'comm': {
        const comm = unpacker.text();
        return withRest({ type, seq, time, kernelTime, cpu, pid, tid, comm, process }, told);
      }
      case 'coredump': {
        const ppid = unpacker.integer();
        return withRest({ type, seq, time, kernelTime, cpu, pid, tid, ppid, process }, told);
      }
    }
  }
}

/** How many fields follow the circumstances, of those that are known. */
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

/** Adds what is not told with every event. */
function withRest<Event extends ProcessEvent>(event: Event, told: Circumstances): Event {
  const { parent, runtime, synthetic } = told;
  const open = event as { -readonly [Key in keyof Circumstances]: Circumstances[Key] };
  if (parent !== undefined) open.parent = parent;
  if (runtime !== undefined) open.runtime = runtime;
  if (synthetic !== undefined) open.synthetic = synthetic;
  return event;
}

function circumstances(unpacker: Unpacker): Circumstances {
  let process: ProcessInfo | undefined;
  let parent: ProcessInfo | undefined;
  let runtime: number | undefined;
  let synthetic: true | undefined;
  for (let pairs = unpacker.map(); pairs > 0; pairs--) {
    switch (unpacker.text()) {
      case 'process':
        process = processInfo(unpacker);
        break;
      case 'parent':
        parent = processInfo(unpacker);
        break;
      case 'runtime':
        runtime = unpacker.number();
        break;
      case 'synthetic':
        if (unpacker.skip()[0] === 0xc3) synthetic = true;
        break;
      default:
        unpacker.pass();
    }
  }
  if (process === undefined) throw malformed('without a process');
  return { process, parent, runtime, synthetic } as Circumstances;
}

/** What is told of a process; that of nearly all events has three fields. */
function processInfo(unpacker: Unpacker): ProcessInfo {
  const { at } = unpacker;
  const pairs = unpacker.map();
  if (pairs === 3) {
    let id: string | undefined;
    let comm: string | undefined;
    let detail: Detail | undefined;
    for (let pair = 0; pair < 3; pair++) {
      const key = unpacker.text();
      if (key !== 'id' && key !== 'comm' && key !== 'detail') break;
      const value = unpacker.text();
      if (key === 'id') id = value;
      else if (key === 'comm') comm = value;
      else if (value === 'complete' || value === 'partial' || value === 'gone') detail = value;
    }
    if (id !== undefined && comm !== undefined && detail !== undefined) return { id, comm, detail };
  }
  unpacker.at = at;
  const fields = unpack(unpacker.skip());
  if (!isMap(fields)) throw malformed('a process that is no map');
  return processFromWire(fields);
}

function malformed(what: string): ProcbusError {
  return new ProcbusError('bad-message', `an event is malformed: ${what}`);
}
