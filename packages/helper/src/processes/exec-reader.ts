/*
 * Who has begun what program, read from /proc while it runs.
 *
 * A short process lives half a millisecond from its exec. The main thread serves clients, and would
 * come too late whenever it is busy; so a thread of its own does nothing but wait for execs and read. It
 * has its own socket to the kernel, which lets only execs through, and runs before all other work where
 * the system permits.
 * Trade-off: the kernel tells each exec twice, and each of our two threads keeps its own queue. What
 * the thread did not read, for whatever reason, is read by the main thread when it gets there.
 */
import { writeSync, closeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { KernelEvent } from '@procbus/protocol';
import { monotonicTime, openEventfd, type Urgency } from '../libc.ts';
import { log } from '../log.ts';
import { decodeImage, readImage } from './facts.ts';
import { ImageRing } from './image-ring.ts';
import type { Image } from './process.ts';

/** What the thread is given. */
export interface ReaderData {
  readonly memory: SharedArrayBuffer;
  /** Becomes readable when the thread has to end. */
  readonly stop: number;
}

/** What the thread says of itself, once it reads. */
export interface ReaderReady {
  readonly urgency: Urgency;
}

/** ns after an exec for which it makes sense to wait for what the thread reads. */
const patience = 5_000_000n;

export class ExecReader {
  /** How the thread came out at the scheduler; undefined where it does not run, or not yet. */
  urgency: Urgency | undefined;
  readonly #ring = new ImageRing();
  readonly #stop = openEventfd();
  /** What was read and not asked for yet, by pid and time. */
  readonly #read = new Map<string, { readonly kernelTime: bigint; readonly image: Image }>();
  #thread: { readonly ready: Promise<void>; readonly ended: Promise<void> } | undefined;

  /**
   * Starts the thread, if it is not started yet; resolves when it hears the kernel. Until then, and if it
   * ever ends, the main thread reads: too late for some.
   */
  async start(): Promise<void> {
    this.#thread ??= this.#startThread();
    return this.#thread.ready;
  }

  /** The program that a process began with an exec. */
  imageOf({ pid, kernelTime }: KernelEvent): Image {
    const key = keyOf(pid, kernelTime);
    for (;;) {
      this.#collect();
      const found = this.#read.get(key);
      if (found !== undefined) {
        this.#read.delete(key);
        this.#forgetBefore(kernelTime);
        return found.image;
      }
      const left = this.urgency !== undefined ? kernelTime + patience - monotonicTime() : 0n;
      if (left <= 0n || !this.#ring.wait(Math.max(1, Number(left) / 1e6))) return readImage(pid);
    }
  }

  async close(): Promise<void> {
    writeSync(this.#stop, new BigUint64Array([1n]));
    await this.#thread?.ended;
    closeSync(this.#stop);
  }

  #startThread(): { ready: Promise<void>; ended: Promise<void> } {
    const workerData: ReaderData = { memory: this.#ring.memory, stop: this.#stop };
    const worker = new Worker(new URL('./exec-reader-thread.js', import.meta.url), { workerData });
    worker.on('error', (error) => log(`the thread that reads programs failed: ${error.stack}`));
    const ended = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        this.urgency = undefined;
        resolve();
      });
    });
    const ready = new Promise<void>((resolve) => {
      worker.once('message', ({ urgency }: ReaderReady) => {
        this.urgency = urgency;
        resolve();
      });
    });
    return { ready: Promise.race([ready, ended]), ended };
  }

  #collect(): void {
    for (let next = this.#ring.read(); next !== undefined; next = this.#ring.read()) {
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

function keyOf(pid: number, kernelTime: bigint): string {
  return `${pid}.${kernelTime}`;
}
