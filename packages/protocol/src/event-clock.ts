/*
 * The times of events as texts.
 */
import { isoTime } from './event.ts';
import type { Unpacker } from './unpacker.ts';

/** Reads the times of events, one after the other. Most come within the same second as the one before. */
export class EventClock {
  readonly #offset: bigint;
  readonly #offsetSeconds: number;
  readonly #offsetRest: number;
  /** ns of CLOCK_MONOTONIC. */
  kernelTime = '';
  /** ISO 8601, with microseconds. */
  time = '';

  /** @param offset - ns to add to a kernel time for the time since 1970 */
  constructor(offset: bigint) {
    this.#offset = offset;
    this.#offsetSeconds = Number(offset / 1_000_000_000n);
    this.#offsetRest = Number(offset % 1_000_000_000n);
  }

  /**
   * Reads the next time.
   *
   * @returns itself: every event has a time, so none makes an object for it
   * @throws ProcbusError `bad-message`
   */
  read(unpacker: Unpacker): this {
    const { at } = unpacker;
    const ns = unpacker.number();
    // After 104 days a number is no longer exact.
    if (!Number.isSafeInteger(ns) || ns < 0 || this.#offsetRest < 0) {
      unpacker.at = at;
      const exact = unpacker.int64();
      this.kernelTime = String(exact);
      this.time = isoTime(exact + this.#offset);
      return this;
    }
    this.kernelTime = String(ns);
    let seconds = Math.floor(ns / 1e9);
    let rest = ns - seconds * 1e9 + this.#offsetRest;
    seconds += this.#offsetSeconds;
    if (rest >= 1e9) {
      rest -= 1e9;
      seconds++;
    }
    this.time = `${secondOf(seconds)}${String(1_000_000 + Math.floor(rest / 1000)).slice(1)}Z`;
    return this;
  }
}

let lastSecond = Number.NaN;
let lastText = '';

/** A second since 1970 as ISO 8601, up to the point before its fraction. */
function secondOf(seconds: number): string {
  if (seconds !== lastSecond) {
    lastSecond = seconds;
    lastText = new Date(seconds * 1000).toISOString().slice(0, -4);
  }
  return lastText;
}
