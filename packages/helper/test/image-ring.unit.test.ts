import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { imageFiles } from '../src/processes/facts.ts';
import { ImageRing, type ReadImage } from '../src/processes/image-ring.ts';
import type { RawFile } from '../src/processes/procfs.ts';

/** The most that each file is read of. */
const longest: Readonly<Record<RawFile, number>> = {
  args: 4097,
  exe: 4096,
  cwd: 4096,
  person: 196,
  cgroup: 4096,
};

/** A ring at both of its ends, which see each other's memory and nothing else. */
function makeRing(bytes: number, written = 0): { writer: ImageRing; reader: ImageRing } {
  const memory = ImageRing.allocate(bytes);
  // How far both have come in a long life; see the layout of the memory.
  new Int32Array(memory, 0, 2).fill(written | 0);
  return { writer: new ImageRing(memory), reader: new ImageRing(memory) };
}

/** Where each file was copied from: overwritten by the next one, as in the thread that reads /proc. */
const shared = Buffer.alloc(8192);

function write(ring: ImageRing, { pid, kernelTime, raw }: ReadImage): void {
  ring.write(pid, kernelTime, (of, file) => {
    if (of !== pid) throw new Error(`asked for ${of} and not for ${pid}`);
    const bytes = raw[file];
    shared.fill(0xee);
    bytes?.copy(shared);
    return bytes === undefined ? undefined : shared.subarray(0, bytes.length);
  });
}

/** Bytes of which no two in a row are alike. */
const pattern = Buffer.from(Array.from({ length: 512 }, (_, at) => (7 * at) & 0xff));

/** A file that could not be read, or some bytes of it: few, many, or as many as there may be. */
function content(most: number): fc.Arbitrary<Buffer | undefined> {
  const length = fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: most }), fc.constantFrom(0, most));
  const bytes = fc
    .tuple(fc.nat({ max: 255 }), length)
    .map(([first, size]) => Buffer.alloc(size, pattern.subarray(first, first + 251)));
  return fc.option(bytes, { nil: undefined, freq: 5 });
}

/** A record; the time says which it is. */
const image: fc.Arbitrary<Omit<ReadImage, 'kernelTime'>> = fc.record({
  pid: fc.integer({ min: 1, max: 4_194_304 }),
  raw: fc.record({
    args: content(longest.args),
    exe: content(longest.exe),
    cwd: content(longest.cwd),
    person: content(longest.person),
    cgroup: content(longest.cgroup),
  }),
});

/** Where two ends may have come to: the beginning, or shortly before what counts them wraps. */
const position = fc.oneof(
  fc.constant(0),
  fc.nat({ max: 2 ** 14 }).map((words) => 2 ** 32 - 8 * (words + 1)),
);

/** A record in a form that is quickly compared. */
function textOf(record: ReadImage | undefined): string {
  if (record === undefined) return 'none';
  const { pid, kernelTime, raw } = record;
  return [pid, kernelTime, ...imageFiles.map((file) => raw[file]?.toString('latin1') ?? 'unread')].join(
    '\0\0',
  );
}

function recordOf(pid: number, fill: number, bytes: Partial<Record<RawFile, number>> = longest): ReadImage {
  const files = imageFiles.map((file) => [file, Buffer.alloc(bytes[file] ?? 0, fill)]);
  return { pid, kernelTime: 2n ** 62n + BigInt(pid), raw: Object.fromEntries(files) as ReadImage['raw'] };
}

describe('a ring of images', () => {
  test('gives what was put in, in order, to a reader that is a little late', () => {
    const lags = fc.array(fc.nat({ max: 3 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(image, { maxLength: 40 }), lags, position, (images, allowed, start) => {
        const { writer, reader } = makeRing(128 * 1024, start);
        const written = images.map((each, index) => ({ ...each, kernelTime: 2n ** 60n + BigInt(index) }));
        const read: (ReadImage | undefined)[] = [];
        written.forEach((record, index) => {
          write(writer, record);
          const lag = allowed[index % allowed.length] as number;
          while (read.length < index + 1 - lag) read.push(reader.read());
        });
        while (read.length < written.length) read.push(reader.read());
        expect(read.map(textOf)).toEqual(written.map(textOf));
        expect(reader.read()).toBeUndefined();
      }),
      { numRuns: 200 },
    );
  });

  test('leaves records out where the reader is too late, and what it gives is whole and in order', () => {
    let leftOut = 0;
    const step = fc.tuple(image, fc.nat({ max: 2 }));
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), position, (steps, start) => {
        const { writer, reader } = makeRing(64 * 1024, start);
        const written = new Map<bigint, ReadImage>();
        let last = 0n;
        const readOne = (): boolean => {
          const record = reader.read();
          if (record === undefined) return false;
          expect(textOf(record)).toBe(textOf(written.get(record.kernelTime)));
          expect(record.kernelTime).toBeGreaterThan(last);
          last = record.kernelTime;
          written.delete(record.kernelTime);
          return true;
        };
        steps.forEach(([each, reads], index) => {
          const record = { ...each, kernelTime: BigInt(index + 1) };
          written.set(record.kernelTime, record);
          write(writer, record);
          for (let left = reads; left > 0; left--) readOne();
        });
        while (readOne());
        leftOut += written.size;
        // A reader that has caught up misses nothing more.
        const record = recordOf(1, 9);
        write(writer, record);
        expect(textOf(reader.read())).toBe(textOf(record));
      }),
      { numRuns: 200 },
    );
    expect(leftOut).toBeGreaterThan(100);
  });

  test('keeps what it has when it is full', () => {
    const { writer, reader } = makeRing(64 * 1024);
    for (let pid = 1; pid <= 100; pid++) write(writer, recordOf(pid, pid));
    const [first, second] = [reader.read(), reader.read()];
    expect([first, second]).toEqual([recordOf(1, 1), recordOf(2, 2)]);
    while (reader.read() !== undefined);
    write(writer, recordOf(101, 101));
    expect(reader.read()).toEqual(recordOf(101, 101));
  });

  test('of the usual size holds two thousand ordinary programs', () => {
    const ring = new ImageRing();
    const ordinary = { args: 60, exe: 20, cwd: 30, person: 120, cgroup: 200 };
    for (let pid = 1; pid <= 2000; pid++) write(ring, recordOf(pid, pid & 0xff, ordinary));
    let count = 0;
    for (let next = ring.read(); next !== undefined; next = ring.read()) {
      count++;
      expect(next.pid).toBe(count);
    }
    expect(count).toBe(2000);
  });

  test('tells a file that could not be read from one that is empty', () => {
    const { writer, reader } = makeRing(64 * 1024);
    const raw = {
      args: Buffer.alloc(0),
      exe: undefined,
      cwd: undefined,
      person: Buffer.of(10),
      cgroup: undefined,
    };
    write(writer, { pid: 1, kernelTime: 1n, raw });
    expect(reader.read()?.raw).toEqual(raw);
  });

  test('is waited for until there is a record, or for the time given', () => {
    const { writer, reader } = makeRing(64 * 1024);
    const begun = performance.now();
    expect(reader.wait(20)).toBe(false);
    expect(performance.now() - begun).toBeGreaterThan(15);
    write(writer, recordOf(1, 1));
    expect(reader.wait(60_000)).toBe(true);
    reader.read();
    expect(reader.wait(1)).toBe(false);
  });
});
