/*
 * MessagePack, read by hand where it lies: for what comes so often that making values first, to look at them then,
 * would cost more than reading. See https://github.com/msgpack/msgpack/blob/master/spec.md.
 *
 * Nothing is trusted: what is not there, or is no such value, is an error.
 */
import { malformed } from './elements.ts';
import { lengthAt, valueEnd } from './structure.ts';
import { TextCache } from './text-cache.ts';

const texts = new TextCache();

/** Reads one value after the other. */
export class Unpacker {
  /** Where the next value begins. */
  at: number;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** Whether the next value is an array. */
  get isArray(): boolean {
    const tag = this.#tag();
    return (tag >= 0x90 && tag <= 0x9f) || tag === 0xdc || tag === 0xdd;
  }

  /** The beginning of an array: how many values follow. */
  array(): number {
    const tag = this.#tag();
    if (tag >= 0x90 && tag <= 0x9f) return this.#skipHead(1, tag & 0x0f);
    if (tag === 0xdc) return this.#skipHead(3, lengthAt(this.#bytes, this.at, 2));
    if (tag === 0xdd) return this.#skipHead(5, lengthAt(this.#bytes, this.at, 4));
    throw malformed('no array where there has to be one');
  }

  /** The beginning of a map: how many pairs follow. */
  map(): number {
    const tag = this.#tag();
    if (tag >= 0x80 && tag <= 0x8f) return this.#skipHead(1, tag & 0x0f);
    if (tag === 0xde) return this.#skipHead(3, lengthAt(this.#bytes, this.at, 2));
    if (tag === 0xdf) return this.#skipHead(5, lengthAt(this.#bytes, this.at, 4));
    throw malformed('no map where there has to be one');
  }

  /** Whether the next value is nil, which is passed then. */
  nil(): boolean {
    if (this.#tag() !== 0xc0) return false;
    this.at++;
    return true;
  }

  /** An integer that is exact as a number. */
  integer(): number {
    const value = this.number();
    if (Number.isSafeInteger(value)) return value;
    throw malformed('a number that is no integer');
  }

  /** A number, be it an integer or not; one of 64 bits as near as a number comes. */
  number(): number {
    const bytes = this.#bytes;
    const { at } = this;
    const tag = this.#tag();
    if (tag < 0x80) {
      this.at = at + 1;
      return tag;
    }
    if (tag >= 0xe0) {
      this.at = at + 1;
      return tag - 0x100;
    }
    switch (tag) {
      case 0xcc:
        return this.#take(2) ? (bytes[at + 1] as number) : 0;
      case 0xcd:
        this.#take(3);
        return ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
      case 0xce:
        this.#take(5);
        return this.#unsigned(at + 1);
      case 0xcf:
        this.#take(9);
        return this.#unsigned(at + 1) * 2 ** 32 + this.#unsigned(at + 5);
      case 0xd0:
        this.#take(2);
        return bytes.readInt8(at + 1);
      case 0xd1:
        this.#take(3);
        return bytes.readInt16BE(at + 1);
      case 0xd2:
        this.#take(5);
        return bytes.readInt32BE(at + 1);
      case 0xd3:
        this.#take(9);
        return (this.#unsigned(at + 1) | 0) * 2 ** 32 + this.#unsigned(at + 5);
      case 0xca:
        this.#take(5);
        return bytes.readFloatBE(at + 1);
      case 0xcb:
        this.#take(9);
        return bytes.readDoubleBE(at + 1);
      default:
        throw malformed('no number where there has to be one');
    }
  }

  /** An integer of up to 64 bits, exact. */
  int64(): bigint {
    const { at } = this;
    const tag = this.#tag();
    if (tag !== 0xcf && tag !== 0xd3) return BigInt(this.integer());
    this.#take(9);
    return tag === 0xcf ? this.#bytes.readBigUInt64BE(at + 1) : this.#bytes.readBigInt64BE(at + 1);
  }

  text(): string {
    const { at } = this;
    const tag = this.#tag();
    if (tag >= 0xa0 && tag <= 0xbf) return this.#text(1, tag & 0x1f);
    if (tag === 0xd9) return this.#text(2, lengthAt(this.#bytes, at, 1));
    if (tag === 0xda) return this.#text(3, lengthAt(this.#bytes, at, 2));
    if (tag === 0xdb) return this.#text(5, lengthAt(this.#bytes, at, 4));
    throw malformed('no text where there has to be one');
  }

  /** Whether the next value is a text. */
  get isText(): boolean {
    const tag = this.#tag();
    return (tag >= 0xa0 && tag <= 0xbf) || (tag >= 0xd9 && tag <= 0xdb);
  }

  /** Passes a value, whatever it is. */
  pass(): void {
    this.at = valueEnd(this.#bytes, this.at);
  }

  /** Passes a value; returns its bytes. */
  skip(): Buffer {
    const { at } = this;
    this.pass();
    return this.#bytes.subarray(at, this.at);
  }

  /** All bytes that are left. */
  rest(): Buffer {
    return this.#bytes.subarray(this.at);
  }

  #text(head: number, bytes: number): string {
    const from = this.at + head;
    this.#take(head + bytes);
    return texts.read(this.#bytes, from, this.at);
  }

  #tag(): number {
    const tag = this.#bytes[this.at];
    if (tag === undefined) throw malformed('it ends too early');
    return tag;
  }

  #skipHead(bytes: number, count: number): number {
    this.#take(bytes);
    return count;
  }

  #take(bytes: number): true {
    this.at += bytes;
    if (this.at > this.#bytes.length) throw malformed('it ends too early');
    return true;
  }

  #unsigned(at: number): number {
    const bytes = this.#bytes;
    const low =
      ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
    return (bytes[at] as number) * 2 ** 24 + low;
  }
}
