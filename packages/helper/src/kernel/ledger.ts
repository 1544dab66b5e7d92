/*
 * How far the events of the kernel's socket have come: an account that outlives the process, as the socket does.
 *
 * Idea: a memory file that the service manager keeps beside the socket. Whoever takes both over knows how many
 * events have left the socket under the last helper, to the one, and so what its end has cost every client at most:
 * the last helper may have dropped an exit that turned out to be none (see held-exits.ts).
 * Invariant: events numbered + events taken and not yet numbered = `reached`, whenever the process may be killed;
 * for those that one system call is receiving, the kernel keeps the account, by filling headers that lie here too.
 */
import { fstatSync, ftruncateSync } from 'node:fs';
import { close, mapShared, openMemory, type NativeMemory } from '../libc.ts';
import { headersBytes, receivedIn } from './ring.ts';

/** Where a stream of numbers ended. */
export interface Predecessor {
  readonly epoch: string;
  /** The last number that was given out, or would have been. */
  readonly seq: number;
}

/** "pbl" and the version of this layout, which others leave alone. */
const magic = 0x70626c01;
const pageBytes = 64 * 1024; // the largest page of any machine that we run on
const fileBytes = pageBytes + headersBytes;
const epochBytes = 64;

export class Ledger {
  readonly fd: number;
  /** The headers of {@link Ring}, for the events that are being received. */
  readonly headers: NativeMemory;
  /** Where the last helper came to; undefined where there was none, or where nobody knows. */
  readonly predecessor: Predecessor | undefined;
  readonly #memory: NativeMemory;
  /** magic, drops */
  readonly #words: Uint32Array;
  /** reached */
  readonly #count: Float64Array;
  readonly #epoch: Buffer;

  /** Opens a new one, or goes on with one that was kept. */
  constructor(fd: number = newFile()) {
    this.fd = fd;
    this.#memory = mapShared(fd, 0, pageBytes);
    this.headers = mapShared(fd, pageBytes, headersBytes);
    const { buffer } = this.#memory;
    this.#words = new Uint32Array(buffer, 0, 2);
    this.#count = new Float64Array(buffer, 8, 1);
    this.#epoch = Buffer.from(buffer, 16, epochBytes);
    this.#words[0] = magic;
    const epoch = this.#epoch.toString('latin1').replace(/\0.*/s, '');
    if (epoch !== '') this.predecessor = { epoch, seq: this.reached + receivedIn(this.headers) };
    // Until there is a new one, nobody can count on from here.
    this.#epoch.fill(0);
    this.reached = 0;
  }

  /** Whether a file is a ledger that this version can go on with. */
  static isOne(fd: number): boolean {
    const stats = fstatSync(fd);
    if (!stats.isFile() || stats.size !== fileBytes) return false;
    const memory = mapShared(fd, 0, pageBytes);
    const [first] = new Uint32Array(memory.buffer, 0, 1);
    memory.free();
    return first === magic;
  }

  /** Names the stream of numbers that this one is about. */
  set epoch(epoch: string) {
    this.#epoch.write(epoch, 'latin1');
  }

  /** The number that the last event will have of those that have left the socket. */
  get reached(): number {
    return this.#count[0] as number;
  }

  set reached(seq: number) {
    this.#count[0] = seq;
  }

  /** The socket's drop count, as far as it is part of {@link reached}. */
  get drops(): number {
    return this.#words[1] as number;
  }

  set drops(count: number) {
    this.#words[1] = count;
  }

  close(): void {
    this.#memory.free();
    this.headers.free();
    close(this.fd);
  }
}

function newFile(): number {
  const fd = openMemory('procbusd');
  ftruncateSync(fd, fileBytes);
  return fd;
}
