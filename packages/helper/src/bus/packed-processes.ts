/*
 * Processes as somebody sees them, packed. Most are told several times, and those that fork over and over with each
 * child; so the last ones are kept, by their pids.
 */
import { packProcess } from '@procbus/protocol';
import type { Link, Portrait } from '../processes/portrait.ts';
import { infoOf, parentOf, type Lens } from './view.ts';

/** So many are kept, a power of two. */
const places = 256;

/** Values that were packed last, by pid; a value is found as long as it is the very same one. */
class Packed<Value extends { readonly pid: number }> {
  readonly #pack: (value: Value) => Buffer;
  readonly #values: (Value | undefined)[] = Array.from({ length: places });
  readonly #packed: (Buffer | undefined)[] = Array.from({ length: places });

  constructor(packValue: (value: Value) => Buffer) {
    this.#pack = packValue;
  }

  of(value: Value): Buffer {
    const place = value.pid & (places - 1);
    const known = this.#packed[place];
    if (known !== undefined && this.#values[place] === value) return known;
    const packed = this.#pack(value);
    this.#values[place] = value;
    this.#packed[place] = packed;
    return packed;
  }
}

export class PackedProcesses {
  readonly #processes: Packed<Portrait>;
  readonly #parents: Packed<Link>;

  constructor(lens: Lens) {
    this.#processes = new Packed((portrait) => packProcess(infoOf(lens, portrait)));
    this.#parents = new Packed((link) => packProcess(parentOf(lens, link)));
  }

  process(portrait: Portrait): Buffer {
    return this.#processes.of(portrait);
  }

  parent(link: Link): Buffer {
    return this.#parents.of(link);
  }
}
