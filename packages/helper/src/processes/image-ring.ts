/*
 * Memory through which a thread that reads /proc hands what it read to the main thread.
 *
 * Idea: a ring of records, one writer and one reader; a record is complete before the writer moves the
 * head past it. Bytes only: making text of them is left to the reader, who has the time.
 * Invariant: the writer never touches what the reader has not passed.
 * Trade-off: where the reader is so late that the ring is full, records are left out, and the reader
 * does without.
 */
import { imageFiles, type RawImage } from './facts.ts';
import type { RawFile } from './procfs.ts';

/** Bytes for records, a power of two: those of some 2,000 ordinary programs, or 50 of the largest. */
const ringBytes = 1024 * 1024;

/** At the beginning of the memory: how many bytes were ever written, and how many were read. */
const head = 0;
const tail = 1;
const controlBytes = 8;

/** A record: its length in all, the pid, the time of the exec in two words, then each file's length and bytes. */
const headerWords = 4 + imageFiles.length;
/** Stands for the length of a file that could not be read. */
const unread = 0xffffffff;
const largestRecord = 4 * headerWords + imageFiles.length * 4100;

/** The program of a process, as it was read when it began. */
export interface ReadImage {
  readonly pid: number;
  /** The time of the exec event, in ns of CLOCK_MONOTONIC. */
  readonly kernelTime: bigint;
  readonly raw: RawImage;
}

export class ImageRing {
  /** To be given to the other thread. */
  readonly memory: SharedArrayBuffer;
  readonly #control: Int32Array;
  readonly #bytes: Buffer;

  /** @param memory - as {@link ImageRing.allocate} gives it, of the ring at the other end */
  constructor(memory: SharedArrayBuffer = ImageRing.allocate(ringBytes)) {
    this.memory = memory;
    this.#control = new Int32Array(memory, 0, 2);
    this.#bytes = Buffer.from(memory, controlBytes);
  }

  /** Memory for a ring of so many bytes, a power of two. */
  static allocate(bytes: number): SharedArrayBuffer {
    return new SharedArrayBuffer(controlBytes + bytes);
  }

  /**
   * Reads the program of a process into the ring.
   *
   * @param read - reads one of its files; the bytes are taken before it is called again
   */
  write(pid: number, kernelTime: bigint, read: (pid: number, file: RawFile) => Buffer | undefined): void {
    const written = Atomics.load(this.#control, head);
    const start = this.#place(written);
    if (start === undefined) return;
    let at = start.offset + 4 * headerWords;
    imageFiles.forEach((file, index) => {
      const bytes = read(pid, file);
      this.#bytes.writeUInt32LE(bytes?.length ?? unread, start.offset + 16 + 4 * index);
      if (bytes !== undefined) at += bytes.copy(this.#bytes, at);
    });
    const length = (at - start.offset + 7) & ~7;
    this.#bytes.writeUInt32LE(length, start.offset);
    this.#bytes.writeUInt32LE(pid, start.offset + 4);
    this.#bytes.writeBigUInt64LE(kernelTime, start.offset + 8);
    Atomics.store(this.#control, head, (start.position + length) | 0);
    Atomics.notify(this.#control, head);
  }

  /** Takes the next record out, if there is one. */
  read(): ReadImage | undefined {
    let position = Atomics.load(this.#control, tail);
    if (position === Atomics.load(this.#control, head)) return undefined;
    let offset = this.#offsetOf(position);
    let length = this.#bytes.readUInt32LE(offset);
    if (length === 0) {
      // The writer found too little room before the end, and went on at the beginning.
      position += this.#bytes.length - offset;
      offset = 0;
      length = this.#bytes.readUInt32LE(0);
    }
    let at = offset + 4 * headerWords;
    const raw: Partial<Record<RawFile, Buffer | undefined>> = {};
    imageFiles.forEach((file, index) => {
      const bytes = this.#bytes.readUInt32LE(offset + 16 + 4 * index);
      raw[file] = bytes === unread ? undefined : Buffer.from(this.#bytes.subarray(at, at + bytes));
      if (bytes !== unread) at += bytes;
    });
    const pid = this.#bytes.readUInt32LE(offset + 4);
    const kernelTime = this.#bytes.readBigUInt64LE(offset + 8);
    Atomics.store(this.#control, tail, (position + length) | 0);
    return { pid, kernelTime, raw };
  }

  /** Waits until there is a record; returns false when `ms` have passed without one. */
  wait(ms: number): boolean {
    const position = Atomics.load(this.#control, tail);
    return Atomics.wait(this.#control, head, position, ms) !== 'timed-out';
  }

  /** Where the largest record fits; undefined where the reader has to pass others first. */
  #place(written: number): { position: number; offset: number } | undefined {
    const free = this.#bytes.length - ((written - Atomics.load(this.#control, tail)) >>> 0);
    const offset = this.#offsetOf(written);
    const beforeEnd = this.#bytes.length - offset;
    if (beforeEnd >= largestRecord) return free >= largestRecord ? { position: written, offset } : undefined;
    if (free < beforeEnd + largestRecord) return undefined;
    this.#bytes.writeUInt32LE(0, offset);
    return { position: written + beforeEnd, offset: 0 };
  }

  /** Positions count on for ever, as 32-bit words that wrap. */
  #offsetOf(position: number): number {
    return (position >>> 0) % this.#bytes.length;
  }
}
