/*
 * A look at the skeleton of a msgpack value before anything is built from it.
 *
 * msgpackr trusts the counts it reads: an array header of five bytes may claim four billion
 * elements, and a few kilobytes may nest deeper than the stack. This walk costs no allocation,
 * visits each header once, and refuses what no message of this protocol needs: extension types,
 * map keys that are not strings, the reserved byte 0xC1, and bytes behind the value.
 */
import { ProcbusError } from './errors.ts';

/** Bounds for one message. */
export interface StructureLimits {
  /** Arrays and maps inside one another. */
  readonly depth: number;
  /** Elements in all: array elements, map keys and map values. */
  readonly elements: number;
}

/** What a client may send in one message. */
export const clientStructure: StructureLimits = { depth: 8, elements: 4096 };

const malformed = (name: string): ProcbusError =>
  new ProcbusError('bad-frame', `not a valid message: ${name}`);

/**
 * Checks that `bytes` are exactly one msgpack value within the limits.
 *
 * @throws ProcbusError `bad-frame`
 */
export function checkStructure(bytes: Buffer, limits: StructureLimits): void {
  /** How many values are still to come at each depth; a map counts key and value. */
  const open: number[] = [1];
  const isMap: boolean[] = [false];
  let at = 0;
  let elements = 0;

  while (open.length > 0) {
    const level = open.length - 1;
    const left = open[level] as number;
    if (left === 0) {
      open.pop();
      isMap.pop();
      continue;
    }
    open[level] = left - 1;
    if (at >= bytes.length) throw malformed('it ends too early');
    const head = headerAt(bytes, at);
    // An even number of values left means that this one is a key.
    if (isMap[level] === true && left % 2 === 0 && head.kind !== 'string') {
      throw malformed('a map key that is not a string');
    }
    at += head.bytes;
    if (at > bytes.length) throw malformed('it ends too early');
    if (head.kind === 'array' || head.kind === 'map') {
      elements += head.values;
      if (elements > limits.elements) throw malformed(`more than ${limits.elements} elements`);
      if (open.length > limits.depth) throw malformed(`nested deeper than ${limits.depth}`);
      open.push(head.values);
      isMap.push(head.kind === 'map');
    }
  }
  if (at !== bytes.length) throw malformed('bytes behind its end');
}

/**
 * Where the value at a place ends.
 *
 * @throws ProcbusError `bad-frame`
 */
export function valueEnd(bytes: Buffer, at: number): number {
  let end = at;
  for (let left = 1; left > 0; left--) {
    const tag = bytes[end];
    if (tag === undefined) throw malformed('it ends too early');
    // What most values are; the rest makes an object, and takes ten times as long.
    if (tag <= 0x7f || tag >= 0xe0) {
      end++;
    } else if (tag <= 0x8f) {
      left += 2 * (tag & 0x0f);
      end++;
    } else if (tag <= 0x9f) {
      left += tag & 0x0f;
      end++;
    } else if (tag <= 0xbf) {
      end += 1 + (tag & 0x1f);
    } else if (scalarBytes[tag & 0x1f] !== 0) {
      end += scalarBytes[tag & 0x1f] as number;
    } else {
      const head = headerAt(bytes, end);
      end += head.bytes;
      left += head.values;
    }
  }
  if (end > bytes.length) throw malformed('it ends too early');
  return end;
}

/** Bytes of a value whose first byte is 0xc0 to 0xdf; 0 where they are not the same for all. */
const scalarBytes = Uint8Array.from('10110000005923592359000000000000', Number);

interface Header {
  readonly kind: 'scalar' | 'string' | 'array' | 'map';
  /** Bytes of the header and, for a scalar or a string, of the content. */
  readonly bytes: number;
  /** Values inside, for an array or a map. */
  readonly values: number;
}

/** Reads one msgpack header; the layout is https://github.com/msgpack/msgpack/blob/master/spec.md. */
function headerAt(bytes: Buffer, at: number): Header {
  const tag = bytes[at] as number;
  if (tag <= 0x7f || tag >= 0xe0) return scalar(1);
  if (tag <= 0x8f) return { kind: 'map', bytes: 1, values: 2 * (tag & 0x0f) };
  if (tag <= 0x9f) return { kind: 'array', bytes: 1, values: tag & 0x0f };
  if (tag <= 0xbf) return { kind: 'string', bytes: 1 + (tag & 0x1f), values: 0 };
  switch (tag) {
    case 0xc0: // nil
    case 0xc2: // false
    case 0xc3: // true
      return scalar(1);
    case 0xc4: // bin 8, 16, 32
      return scalar(2 + lengthAt(bytes, at, 1));
    case 0xc5:
      return scalar(3 + lengthAt(bytes, at, 2));
    case 0xc6:
      return scalar(5 + lengthAt(bytes, at, 4));
    case 0xcc: // uint 8, int 8
    case 0xd0:
      return scalar(2);
    case 0xcd: // uint 16, int 16
    case 0xd1:
      return scalar(3);
    case 0xca: // float 32, uint 32, int 32
    case 0xce:
    case 0xd2:
      return scalar(5);
    case 0xcb: // float 64, uint 64, int 64
    case 0xcf:
    case 0xd3:
      return scalar(9);
    case 0xd9: // str 8, 16, 32
      return { kind: 'string', bytes: 2 + lengthAt(bytes, at, 1), values: 0 };
    case 0xda:
      return { kind: 'string', bytes: 3 + lengthAt(bytes, at, 2), values: 0 };
    case 0xdb:
      return { kind: 'string', bytes: 5 + lengthAt(bytes, at, 4), values: 0 };
    case 0xdc: // array 16, 32
      return { kind: 'array', bytes: 3, values: lengthAt(bytes, at, 2) };
    case 0xdd:
      return { kind: 'array', bytes: 5, values: lengthAt(bytes, at, 4) };
    case 0xde: // map 16, 32
      return { kind: 'map', bytes: 3, values: 2 * lengthAt(bytes, at, 2) };
    case 0xdf:
      return { kind: 'map', bytes: 5, values: 2 * lengthAt(bytes, at, 4) };
    default: // 0xc1 and the extension types
      throw malformed(`the byte 0x${tag.toString(16)} is not used here`);
  }
}

function scalar(bytes: number): Header {
  return { kind: 'scalar', bytes, values: 0 };
}

/** The length that a header gives in so many bytes behind its first. */
export function lengthAt(bytes: Buffer, at: number, width: 1 | 2 | 4): number {
  if (at + 1 + width > bytes.length) throw malformed('it ends too early');
  return bytes.readUIntBE(at + 1, width);
}
