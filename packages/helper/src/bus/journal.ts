/*
 * The journal: what was told last, for those who come back to where they were.
 *
 * Idea: a queue of entries in the order of their numbers, bounded in bytes; the oldest make way. An entry
 * holds the event and the portrait of its process and not what was sent, so that it can be matched and
 * shown anew for whoever asks.
 * Bytes are estimated: so much for an entry, and the texts of a process once for all entries that share them.
 * Invariant: every number behind `oldest` that was given out is held, be it as an event or within a loss.
 */
import type { EventType } from '@procbus/protocol';
import type { Interest } from '../kernel/socket-filter.ts';
import { monotonicTime } from '../libc.ts';
import type { Facts } from '../processes/process.ts';
import { Entries, type Entry } from './entries.ts';

/** Bytes for entries, unless something else is asked for. */
export const defaultJournalSize: number = 16 * 1024 * 1024;

/** What an entry takes without texts: event, portrait and their places. Measured: 250, with some room to spare. */
const entryBytes = 320;

export class Journal {
  /** Bytes that the entries may take. */
  readonly limit: number;
  /** In order. */
  readonly #entries = new Entries();
  #bytes = 0;
  /** What is held begins behind this number. */
  #oldest = 0;
  /** All of this time and later is held, in ns of CLOCK_MONOTONIC. */
  #since = monotonicTime();
  /** How many entries share the texts of a process. */
  readonly #shared = new Map<Facts, number>();
  /** Since which number events of a type are told by the kernel, of processes and of threads. */
  readonly #collected = { processes: new Map<EventType, number>(), threads: new Map<EventType, number>() };

  constructor(limit: number = defaultJournalSize) {
    this.limit = limit;
  }

  /** Entries held, and the bytes they take. */
  get size(): { events: number; bytes: number; limit: number } {
    return { events: this.#entries.length, bytes: this.#bytes, limit: this.limit };
  }

  /** All that came behind this number is held. */
  get oldest(): number {
    return this.#oldest;
  }

  /** How far it reaches back, in seconds. */
  get seconds(): number {
    return this.begin === undefined ? 0 : Math.max(0, Number(monotonicTime() - this.begin) / 1e9);
  }

  /** When the oldest entry happened, in ns of CLOCK_MONOTONIC; undefined where there is none. */
  get begin(): bigint | undefined {
    return this.#entries.length === 0 ? undefined : this.#entries.timeAt(0);
  }

  /** Whether all that happened at a time, in ns of CLOCK_MONOTONIC, and later is held. */
  reachesBackTo(time: bigint): boolean {
    return time >= this.#since;
  }

  /** Adds what came next. */
  add(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += entryBytes + ('where' in entry ? 0 : this.#share(entry.process.facts));
    while (this.#bytes > this.limit) this.#drop();
  }

  /**
   * Up to `limit` entries behind a number, in order.
   *
   * @param seq - not less than {@link oldest}
   */
  after(seq: number, limit: number): Entry[] {
    const entries = this.#entries;
    const from = this.#search((index) => entries.numberAt(index) > seq);
    const count = Math.min(limit, entries.length - from);
    return Array.from({ length: count }, (_, index) => entries.get(from + index));
  }

  /** The number before the first entry of a time or later, in ns of CLOCK_MONOTONIC; `end` where there is none. */
  before(time: bigint, end: number): number {
    // Times are in order but for a little, which a search does not mind.
    const at = this.#search((index) => this.#entries.timeAt(index) >= time);
    if (at === this.#entries.length) return end;
    const entry = this.#entries.get(at);
    return ('where' in entry ? entry.from : entry.seq) - 1;
  }

  /** What the kernel is asked for from a number on. */
  collect(interest: Interest, seq: number): void {
    for (const kind of ['processes', 'threads'] as const) {
      const since = this.#collected[kind];
      for (const type of since.keys()) if (!interest[kind].has(type)) since.delete(type);
      for (const type of interest[kind]) if (!since.has(type)) since.set(type, seq);
    }
  }

  /** Whether all that somebody is interested in was collected behind a number. */
  covers(interest: Interest, seq: number): boolean {
    return (['processes', 'threads'] as const).every((kind) =>
      [...interest[kind]].every((type) => (this.#collected[kind].get(type) ?? Infinity) <= seq),
    );
  }

  #drop(): void {
    const entries = this.#entries;
    const facts = entries.processAt(0)?.facts;
    const time = entries.timeAt(0);
    this.#oldest = entries.numberAt(0);
    if (time >= this.#since) this.#since = time + 1n;
    this.#bytes -= entryBytes + (facts === undefined ? 0 : this.#unshare(facts));
    entries.shift();
  }

  /** Returns the bytes of the texts, if they have not been held before. */
  #share(facts: Facts): number {
    const holders = this.#shared.get(facts) ?? 0;
    this.#shared.set(facts, holders + 1);
    return holders === 0 ? bytesOf(facts) : 0;
  }

  #unshare(facts: Facts): number {
    const holders = (this.#shared.get(facts) as number) - 1;
    if (holders > 0) this.#shared.set(facts, holders);
    else this.#shared.delete(facts);
    return holders === 0 ? bytesOf(facts) : 0;
  }

  /** The index of the first entry of which something holds that holds for all behind it. */
  #search(holds: (index: number) => boolean): number {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (holds(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** What the texts of a process take, at two bytes a character. */
function bytesOf({ comm, exe = '', args = [], cwd = '', cgroup = '', container = '' }: Facts): number {
  const characters = [comm, exe, cwd, cgroup, container, ...args].reduce((sum, text) => sum + text.length, 0);
  return 400 + 2 * characters + 40 * args.length;
}
