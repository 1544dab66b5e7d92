/*
 * Frames: a u32 big-endian length, then that many bytes of payload.
 *
 * Idea: the decoder takes bytes as they come and yields whole payloads; too few bytes is no error.
 * Invariant: never more than `limit` bytes are held, and nothing is allocated on the word of a
 * length that has not been checked.
 * Trade-off: a payload that arrived in one piece is a view of that piece, one in several is copied.
 */
import { ProcbusError } from './errors.ts';

/** Bytes of the length prefix. */
export const frameHeaderBytes = 4;
/** The longest payload a client may send, in bytes. */
export const maxClientPayload: number = 64 * 1024;
/** The longest payload a helper may send, in bytes. */
export const maxHelperPayload: number = 1024 * 1024;

/** The length prefix for a payload of `bytes`. */
export function frameHeader(bytes: number): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  header.writeUInt32BE(bytes);
  return header;
}

/** Splits a byte stream into payloads, whatever pieces it arrives in. */
export class FrameDecoder {
  readonly #limit: number;
  #held: Buffer = Buffer.alloc(0);
  #heldBytes = 0;

  /** @param limit - the longest payload accepted, in bytes */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes of an unfinished frame waiting for the rest. */
  get pending(): number {
    return this.#heldBytes;
  }

  /**
   * Takes the next piece of the stream and yields every payload it completes.
   *
   * @throws ProcbusError `bad-frame` for an empty payload, `frame-too-large` for a length above
   * the limit. The stream cannot be followed after either.
   */
  *push(chunk: Buffer): Generator<Buffer, void, undefined> {
    let rest = this.#join(chunk);
    while (rest.length >= frameHeaderBytes) {
      const length = rest.readUInt32BE(0);
      if (length === 0) throw new ProcbusError('bad-frame', 'a frame of length 0');
      if (length > this.#limit) {
        throw new ProcbusError(
          'frame-too-large',
          `a frame of ${length} bytes; at most ${this.#limit} are accepted`,
        );
      }
      const end = frameHeaderBytes + length;
      if (rest.length < end) break;
      yield rest.subarray(frameHeaderBytes, end);
      rest = rest.subarray(end);
    }
    this.#hold(rest);
  }

  /** What is held and the new piece, as one run of bytes. */
  #join(chunk: Buffer): Buffer {
    if (this.#heldBytes === 0) return chunk;
    const total = this.#heldBytes + chunk.length;
    if (total > this.#held.length) {
      // Doubling keeps a frame that arrives byte by byte linear in its length.
      const grown = Buffer.allocUnsafe(Math.max(total, 2 * this.#held.length));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.#heldBytes);
    return this.#held.subarray(0, total);
  }

  #hold(rest: Buffer): void {
    if (rest.length === 0) {
      this.#held = Buffer.alloc(0);
    } else if (rest.buffer !== this.#held.buffer || rest.byteOffset !== this.#held.byteOffset) {
      // Payloads already yielded may still be views of the old memory: never shift bytes in place.
      this.#held = Buffer.from(rest);
    }
    this.#heldBytes = rest.length;
  }
}
