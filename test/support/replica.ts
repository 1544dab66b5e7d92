/*
 * A list of processes that is kept up to date by events, as any reader of them would, and begins anew with each
 * snapshot among them; it remembers whatever does not add up.
 */
import type {
  LostEvent,
  ProcessEvent,
  ProcessRecord,
  Snapshot,
  SnapshotAndEvents,
  SnapshotEvent,
  StreamEvent,
} from '@procbus/client';
import { until } from './condition.ts';

/** What an event tells of a process. */
export interface Known {
  readonly id: string;
  readonly pid: number;
  readonly comm: string;
}

export class Replica {
  /** By id. */
  living: Map<string, Known> = new Map();
  /** All events so far. */
  readonly events: ProcessEvent[] = [];
  readonly losses: LostEvent[] = [];
  /** What was told twice, or never: it should stay empty. */
  readonly oddities: string[] = [];
  /** How often it began anew. */
  snapshots = 0;
  /** The number of the last event. */
  seq = 0;
  #pids = new Set<number>();
  /** The last snapshot, and the number of events before it. */
  #begun: ReadonlyMap<string, Known> = new Map();
  #before = 0;
  readonly #watch: SnapshotAndEvents['events'];

  /** Begins to read; it ends with the watch. */
  constructor({ cursor, processes, events }: SnapshotAndEvents) {
    this.#begin({ cursor, processes });
    this.#watch = events;
    this.#read().catch((error: unknown) => this.oddities.push(String(error)));
  }

  /** What lived at some point of the stream, once it has come so far; ordered by id. */
  async at(cursor: string): Promise<Known[]> {
    const seq = seqOf(cursor);
    // In a storm it may be told from the journal, later than others.
    const hasRead = (): boolean =>
      this.seq >= seq || (this.#watch.buffered === 0 && seqOf(this.#watch.cursor ?? cursor) >= seq);
    await until('events to be read', hasRead);
    const living = new Map(this.#begun);
    for (const event of this.events.slice(this.#before)) if (event.seq <= seq) follow(living, event);
    return byId([...living.values()]);
  }

  /** Stops reading. */
  async end(): Promise<void> {
    await this.#watch.return();
  }

  /** All synthetic events. */
  get synthetic(): ProcessEvent[] {
    return this.events.filter(({ synthetic }) => synthetic === true);
  }

  /** Waits for an event. */
  async sees(what: string, wanted: (event: ProcessEvent) => boolean): Promise<ProcessEvent> {
    let from = 0;
    return until(what, () => {
      const found = this.events.slice(from).find(wanted);
      from = this.events.length;
      return found;
    });
  }

  async #read(): Promise<void> {
    for await (const event of this.#watch) this.#apply(event);
  }

  #begin({ cursor, processes }: Snapshot): void {
    this.#begun = new Map(processes.map((process) => [process.id, knownOf(process)]));
    this.#before = this.events.length;
    this.living = new Map(this.#begun);
    this.#pids = new Set();
    for (const { pid } of processes) this.#take(pid);
    this.seq = seqOf(cursor);
  }

  #apply(event: StreamEvent | SnapshotEvent): void {
    if (event.type === 'snapshot') {
      this.snapshots++;
      this.#begin(event);
      return;
    }
    // Another helper counts anew.
    const isAnew = event.type === 'lost' && event.where === 'journal';
    if (event.seq <= this.seq && !isAnew) this.oddities.push(`${event.seq} comes after ${this.seq}`);
    this.seq = event.seq;
    if (event.type === 'lost') {
      this.losses.push(event);
      return;
    }
    this.events.push(event);
    const { id } = event.process;
    const isKnown = this.living.has(id);
    if (event.type === 'fork') {
      if (isKnown) this.oddities.push(`fork of ${id}, which is known`);
      else this.#take(event.pid);
    } else if (!isKnown) {
      this.oddities.push(`${event.type} of ${id}, which is not known`);
    }
    if (event.type === 'exit') this.#pids.delete(event.pid);
    follow(this.living, event);
  }

  #take(pid: number): void {
    if (this.#pids.has(pid)) this.oddities.push(`${pid} is taken twice`);
    this.#pids.add(pid);
  }
}

function follow(living: Map<string, Known>, event: ProcessEvent): void {
  if (event.type === 'exit') living.delete(event.process.id);
  else living.set(event.process.id, knownOf({ ...event.process, pid: event.pid }));
}

/** Orders processes, so that two lists of them can be compared. */
export function byId(processes: readonly Known[]): Known[] {
  return processes.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** What a list and a replica have in common, to be compared. */
export function knownOf({ id, pid, comm }: Pick<ProcessRecord, keyof Known>): Known {
  return { id, pid, comm };
}

function seqOf(cursor: string): number {
  return Number(cursor.split(':')[1]);
}
