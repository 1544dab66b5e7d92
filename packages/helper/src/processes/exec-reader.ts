/*
 * Who has begun what program, read from /proc while it runs.
 *
 * A short process lives half a millisecond from its exec. The main thread serves clients, and would
 * come too late whenever it is busy; so threads of their own do nothing but wait for execs and read. Each
 * has its own socket to the kernel, which lets only execs through, runs before all other work where the
 * system permits, and stays on its share of the CPUs, of which it reads the execs: so it is woken where
 * the new program runs and takes its place for a moment, and need not wait for another CPU to wake up.
 * Trade-off: the kernel tells each exec twice, and a thread takes some megabytes, so there are a few at
 * most. What they did not read, for whatever reason, is read by the main thread when it gets there.
 */
import { closeSync, writeSync } from 'node:fs';
import { cpus } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { KernelEvent } from '@procbus/protocol';
import type { CpuShare } from '../kernel/socket-filter.ts';
import { monotonicTime, openEventfd, type Urgency } from '../libc.ts';
import { log } from '../log.ts';
import { decodeImage, readImage } from './facts.ts';
import { ImageRing } from './image-ring.ts';
import type { Image } from './process.ts';

/** What a thread is given. */
export interface ReaderData {
  readonly memory: SharedArrayBuffer;
  readonly share: CpuShare;
  /** Becomes readable when the thread has to end. */
  readonly stop: number;
}

/** What a thread says of itself, once it reads. */
export interface ReaderReady {
  readonly urgency: Urgency;
}

/** ns after an exec for which it makes sense to wait for what its thread reads. */
const patience = 5_000_000n;

const nothingRead = decodeImage({});

/** Threads at most; a power of two, as the shares need one. */
const threadLimit = 4;

export class ExecReader {
  readonly #stop = openEventfd();
  /** One for each share of the CPUs; none before the start. */
  #threads: readonly ReaderThread[] = [];
  #started: Promise<void> | undefined;
  /** Execs of which nothing is left. */
  readonly #gone = new Set<KernelEvent>();
  /** What was read and not asked for yet, by pid and time. */
  readonly #read = new Map<string, { readonly kernelTime: bigint; readonly image: Image }>();

  /** Whether anybody may be told of programs. Where nobody may, none is read. */
  isWanted = true;

  /** How the threads came out at the scheduler; undefined where not all of them run, or not yet. */
  get urgency(): Urgency | 'off' | undefined {
    if (!this.isWanted) return 'off';
    const urgencies = this.#threads.map(({ urgency }) => urgency);
    return urgencies.includes(undefined) ? undefined : urgencies[0];
  }

  /**
   * Starts the threads, if they are not started yet; resolves when they hear the kernel. Until then, and
   * where one ever ends, the main thread reads: too late for some. Nothing to start where nothing is wanted.
   */
  async start(): Promise<void> {
    if (!this.isWanted) return;
    // Once: a race with what may not end for months would keep all who wait for it.
    this.#started ??= this.#startThreads();
    return this.#started;
  }

  async #startThreads(): Promise<void> {
    const of = Math.min(threadLimit, 2 ** Math.floor(Math.log2(cpus().length)));
    this.#threads = Array.from({ length: of }, (_, index) => new ReaderThread({ index, of }, this.#stop));
    await Promise.all(this.#threads.map(async ({ ready, ended }) => Promise.race([ready, ended])));
  }

  /** Events from before our time are going to be asked about: what another exec or another process followed is gone. */
  expectLate(events: readonly KernelEvent[]): void {
    const isFollowed = new Set<number>();
    for (const event of events.toReversed()) {
      if (event.pid !== event.tid) continue;
      if (event.type === 'exec' && isFollowed.has(event.pid)) this.#gone.add(event);
      if (event.type === 'exec' || event.type === 'fork') isFollowed.add(event.pid);
    }
  }

  /** The program that a process began with an exec. */
  imageOf(exec: KernelEvent): Image {
    if (this.#gone.delete(exec) || !this.isWanted) return nothingRead;
    const { pid, kernelTime, cpu } = exec;
    const thread = this.#threads[cpu % this.#threads.length];
    const key = keyOf(pid, kernelTime);
    for (;;) {
      if (thread !== undefined) this.#collect(thread.ring);
      const found = this.#read.get(key);
      if (found !== undefined) {
        this.#read.delete(key);
        this.#forgetBefore(kernelTime);
        return found.image;
      }
      const left = kernelTime + patience - monotonicTime();
      if (thread?.urgency === undefined || left <= 0n) return readImage(pid);
      if (!thread.ring.wait(Math.max(1, Number(left) / 1e6))) return readImage(pid);
    }
  }

  async close(): Promise<void> {
    writeSync(this.#stop, new BigUint64Array([1n]));
    await Promise.all(this.#threads.map(async ({ ended }) => ended));
    closeSync(this.#stop);
  }

  #collect(ring: ImageRing): void {
    for (let next = ring.read(); next !== undefined; next = ring.read()) {
      const { pid, kernelTime, raw } = next;
      this.#read.set(keyOf(pid, kernelTime), { kernelTime, image: decodeImage(raw) });
    }
  }

  /** Drops what nobody will ask for any more; events of two CPUs come a little out of order. */
  #forgetBefore(kernelTime: bigint): void {
    for (const [key, read] of this.#read) {
      if (read.kernelTime > kernelTime - 1_000_000_000n) break;
      this.#read.delete(key);
    }
  }
}

/** One thread, as the main thread sees it. */
class ReaderThread {
  readonly ring = new ImageRing();
  /** Undefined until it hears the kernel, and when it has ended. */
  urgency: Urgency | undefined;
  readonly ready: Promise<void>;
  readonly ended: Promise<void>;

  constructor(share: CpuShare, stop: number) {
    const workerData: ReaderData = { memory: this.ring.memory, share, stop };
    const worker = new Worker(new URL('./exec-reader-thread.js', import.meta.url), { workerData });
    worker.on('error', (error) => log(`a thread that reads programs failed: ${error.stack}`));
    this.ready = new Promise((resolve) => {
      worker.once('message', ({ urgency }: ReaderReady) => {
        this.urgency = urgency;
        resolve();
      });
    });
    this.ended = new Promise((resolve) => {
      worker.once('exit', () => {
        this.urgency = undefined;
        resolve();
      });
    });
  }
}

function keyOf(pid: number, kernelTime: bigint): string {
  return `${pid}.${kernelTime}`;
}
