/*
 * MessagePack, laid out by hand: for what is packed so often that making values for msgpackr to look at would cost
 * more than packing them. What it lays out is what `pack` would, to the byte.
 */

/** So few bytes, and most are as few, are copied faster by a loop than by a call. */
const loopLimit = 128;

/** Bytes that grow as they are written. */
export class Packer {
  #bytes: Buffer;
  #view: DataView;
  #length = 0;

  /** @param capacity - bytes to begin with */
  constructor(capacity = 4096) {
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
    this.#view = viewOf(this.#bytes);
  }

  /** Bytes written. */
  get length(): number {
    return this.#length;
  }

  /** Copies what is written before a place. */
  copyTo(target: Uint8Array, at: number, end: number): void {
    const bytes = this.#bytes;
    if (end > loopLimit) bytes.copy(target, at, 0, end);
    else for (let index = 0; index < end; index++) target[at + index] = bytes[index] as number;
  }

  /** Leaves out all before a place. */
  dropBefore(at: number): void {
    this.#bytes.copyWithin(0, at, this.#length);
    this.#length -= at;
  }

  /** The beginning of an array, of at most 15 elements. */
  shortArray(count: number): void {
    this.#byte(0x90 | count);
  }

  /** The beginning of an array. */
  array(count: number): void {
    this.#reserve(5);
    if (count < 16) this.#byte(0x90 | count);
    else if (count < 0x10000) this.#bytes.writeUInt16BE(count, this.#head(0xdc, 2));
    else this.#bytes.writeUInt32BE(count, this.#head(0xdd, 4));
  }

  /** The beginning of a map, of at most 15 entries. */
  shortMap(count: number): void {
    this.#byte(0x80 | count);
  }

  nil(): void {
    this.#byte(0xc0);
  }

  true(): void {
    this.#byte(0xc3);
  }

  /** A number: a float where it is no integer of 32 bits. */
  number(value: number): void {
    if (value >>> 0 === value) this.#unsigned(value);
    else if ((value | 0) === value) this.#negative(value);
    else this.#float(value);
  }

  /** A count or a position, which is never a float. */
  count(value: number): void {
    if (value >>> 0 === value) this.#unsigned(value);
    else this.int64(BigInt(value));
  }

  /** An integer of 64 bits, however small it is. */
  int64(value: bigint): void {
    this.#reserve(9);
    // Other than a buffer, a view takes a bigint as it is, and makes no smaller ones of it.
    this.#view.setBigInt64(this.#head(0xd3, 8), value);
  }

  text(value: string): void {
    if (value.length < 32 && this.#ascii(value)) return;
    const bytes = Buffer.byteLength(value);
    this.#reserve(5 + bytes);
    if (bytes < 32) this.#byte(0xa0 | bytes);
    else if (bytes < 0x100) this.#bytes.writeUInt8(bytes, this.#head(0xd9, 1));
    else if (bytes < 0x10000) this.#bytes.writeUInt16BE(bytes, this.#head(0xda, 2));
    else this.#bytes.writeUInt32BE(bytes, this.#head(0xdb, 4));
    this.#length += this.#bytes.write(value, this.#length, 'utf8');
  }

  /** What is packed already. */
  packed(value: Uint8Array): void {
    const { length } = value;
    this.#reserve(length);
    const bytes = this.#bytes;
    const at = this.#length;
    if (length > loopLimit) bytes.set(value, at);
    else for (let index = 0; index < length; index++) bytes[at + index] = value[index] as number;
    this.#length += length;
  }

  /** Writes a short text if it is plain, as most are: a loop is faster than a call. Returns whether it was. */
  #ascii(value: string): boolean {
    const { length } = value;
    this.#reserve(1 + length);
    const bytes = this.#bytes;
    const at = this.#length;
    bytes[at] = 0xa0 | length;
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index);
      if (code > 0x7f) return false;
      bytes[at + 1 + index] = code;
    }
    this.#length += 1 + length;
    return true;
  }

  #unsigned(value: number): void {
    this.#reserve(5);
    const bytes = this.#bytes;
    if (value < 0x80) {
      this.#byte(value);
    } else if (value < 0x100) {
      bytes[this.#head(0xcc, 1)] = value;
    } else if (value < 0x10000) {
      const at = this.#head(0xcd, 2);
      bytes[at] = value >> 8;
      bytes[at + 1] = value;
    } else {
      const at = this.#head(0xce, 4);
      bytes[at] = value >>> 24;
      bytes[at + 1] = value >> 16;
      bytes[at + 2] = value >> 8;
      bytes[at + 3] = value;
    }
  }

  #negative(value: number): void {
    this.#reserve(5);
    if (value >= -0x20) this.#byte(value & 0xff);
    else if (value >= -0x80) this.#bytes.writeInt8(value, this.#head(0xd0, 1));
    else if (value >= -0x8000) this.#bytes.writeInt16BE(value, this.#head(0xd1, 2));
    else this.#bytes.writeInt32BE(value, this.#head(0xd2, 4));
  }

  #float(value: number): void {
    this.#reserve(9);
    this.#view.setFloat64(this.#head(0xcb, 8), value);
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** Writes the first byte of a value for which there is room; returns where the rest goes. */
  #head(first: number, bytes: number): number {
    const at = this.#length;
    this.#bytes[at] = first;
    this.#length += 1 + bytes;
    return at + 1;
  }

  /** Makes room. To be called before the bytes are looked at, as these may be others then. */
  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
    this.#view = viewOf(grown);
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
