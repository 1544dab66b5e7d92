/*
 * Texts that come again and again: the keys of maps, names of programs, ids of processes. Making a string of bytes
 * costs more than finding the one that was made before.
 */

/** So many places, a power of two. */
const places = 1024;
/** Longer ones are not kept. */
const longest = 32;

export class TextCache {
  readonly #texts: (string | undefined)[] = Array.from({ length: places });
  /** The bytes of each, `longest` of them a place. */
  readonly #bytes = new Uint8Array(places * longest);
  readonly #lengths = new Uint8Array(places);

  /** The text of some bytes, as UTF-8. */
  read(bytes: Buffer, from: number, to: number): string {
    const length = to - from;
    if (length > longest) return bytes.toString('utf8', from, to);
    let hash = length;
    for (let at = from; at < to; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
    const place = (hash ^ (hash >>> 15)) & (places - 1);
    const known = this.#texts[place];
    if (known !== undefined && this.#isAt(place, bytes, from, length)) return known;
    const text = bytes.toString('utf8', from, to);
    this.#texts[place] = text;
    this.#lengths[place] = length;
    this.#bytes.set(bytes.subarray(from, to), place * longest);
    return text;
  }

  #isAt(place: number, bytes: Buffer, from: number, length: number): boolean {
    if (this.#lengths[place] !== length) return false;
    const kept = place * longest;
    for (let at = 0; at < length; at++) if (this.#bytes[kept + at] !== bytes[from + at]) return false;
    return true;
  }
}
