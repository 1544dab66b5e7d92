import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeImage, type RawImage } from '../src/processes/facts.ts';
import { argsLimit } from '../src/processes/procfs.ts';

const none: RawImage = {
  args: undefined,
  exe: undefined,
  cwd: undefined,
  person: undefined,
  cgroup: undefined,
};
const ofArgs = (bytes: Buffer): ReturnType<typeof decodeImage> => decodeImage({ ...none, args: bytes });

/** A beginning of /proc/PID/status, behind the owner of that file. */
function person(name: string | Buffer, users = '1000\t1000', owner = 1000): Buffer {
  const text = `\nUmask:\t0022\nState:\tR (running)\nPid:\t7\nUid:\t${users}\t1000\t1000\nGid:\t100`;
  const bytes = Buffer.concat([Buffer.from('....Name:\t'), Buffer.from(name), Buffer.from(text)]);
  bytes.writeUInt32LE(owner, 0);
  return bytes;
}

const id = '0123456789abcdef'.repeat(4);

describe('the facts of a program', () => {
  test('are made of what its files say', () => {
    expect(
      decodeImage({
        args: Buffer.from('make\0-j\0all\0'),
        exe: Buffer.from('/usr/bin/make'),
        cwd: Buffer.from('/src'),
        person: person('make'),
        cgroup: Buffer.from(`0::/system.slice/docker-${id}.scope\n`),
      }),
    ).toEqual({
      comm: 'make',
      exe: '/usr/bin/make',
      args: ['make', '-j', 'all'],
      argsTruncated: undefined,
      cwd: '/src',
      cgroup: `/system.slice/docker-${id}.scope`,
      container: id,
      begunBy: 1000,
      detail: 'complete',
    });
  });

  test('are none where nothing could be read', () => {
    const image = decodeImage(none);
    expect(image).toMatchObject({ comm: '', detail: 'gone' });
    expect(Object.values(image).filter((value) => value !== undefined)).toEqual(['', 'gone']);
  });

  test.each<[string, Partial<RawImage>, string]>([
    ['the arguments alone', { args: Buffer.from('a\0') }, 'partial'],
    ['the program alone', { exe: Buffer.from('/a') }, 'partial'],
    ['the name alone', { person: person('a') }, 'partial'],
    ['no arguments, as a zombie has', { args: Buffer.of(), person: person('a') }, 'partial'],
    ['arguments and program', { args: Buffer.from('a\0'), exe: Buffer.from('/a') }, 'complete'],
    ['only where it was', { cwd: Buffer.from('/'), cgroup: Buffer.from('0::/\n') }, 'gone'],
  ])('say how far they could be read: %s', (_what, raw, detail) => {
    expect(decodeImage({ ...none, ...raw }).detail).toBe(detail);
  });

  test('have the name of the program where its own could not be read, as the kernel would make it', () => {
    expect(ofArgs(Buffer.from('/usr/bin/a-very-long-program-name\0-x\0')).comm).toBe('a-very-long-pro');
  });

  test('have a name with any bytes, two of which the kernel escapes', () => {
    const named = (name: string | Buffer): string => decodeImage({ ...none, person: person(name) }).comm;
    expect(named('a (b) c')).toBe('a (b) c');
    expect(named('a\\nb\\\\n')).toBe('a\nb\\n');
    expect(named('Uid:\t7\t7')).toBe('Uid:\t7\t7');
    expect(named('')).toBe('');
    expect(named(Buffer.from([0xff, 0x41]))).toBe('\u{fffd}A');
  });

  test.each<[string, string, number, number | undefined]>([
    ['the user, who may look into it', '1000\t1000', 1000, 1000],
    ['nobody, where another one may: it was begun before', '1000\t1000', 0, undefined],
    ['nobody, where it is not known who may', '1000\t1000', 0xffffffff, undefined],
    ['the user, while it acts for another one', '1000\t0', 0, 1000],
  ])('name as who has begun it %s', (_what, users, owner, begunBy) => {
    expect(decodeImage({ ...none, person: person('a', users, owner) }).begunBy).toBe(begunBy);
  });
});

describe('arguments', () => {
  test('are what the NULs part, those that are empty included', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom('a', ' ', 'é', '\n') }), { minLength: 1 }),
        (args) => {
          fc.pre(args.join('').length > 0 || args.length > 1);
          expect(ofArgs(Buffer.from(`${args.join('\0')}\0`)).args).toEqual(args);
        },
      ),
    );
    expect(ofArgs(Buffer.from('sh\0\0\0')).args).toEqual(['sh', '', '']);
    expect(ofArgs(Buffer.from('\0')).args).toEqual(['']);
  });

  test('are one where a program has written over them without a NUL', () => {
    expect(ofArgs(Buffer.from('nginx: worker process')).args).toEqual(['nginx: worker process']);
  });

  test('may be no UTF-8: such bytes become U+FFFD', () => {
    expect(ofArgs(Buffer.from([0x61, 0, 0xff, 0x62, 0, 0xc3, 0])).args).toEqual([
      'a',
      '\u{fffd}b',
      '\u{fffd}',
    ]);
  });

  test.each<[string, number, true | undefined]>([
    ['as many as are kept', argsLimit, undefined],
    ['one byte more', argsLimit + 1, true],
  ])('are cut at 4 KiB, which is told: %s', (_what, length, truncated) => {
    const bytes = Buffer.alloc(length, 'x');
    bytes[1] = 0;
    bytes[length - 1] = 0;
    const { args, argsTruncated } = ofArgs(bytes);
    expect(args).toEqual(['x', 'x'.repeat(argsLimit - (truncated ? 2 : 3))]);
    expect(argsTruncated).toBe(truncated);
  });

  test('that are cut within an empty one keep it, as it was there', () => {
    const bytes = Buffer.alloc(argsLimit + 1, 'x');
    bytes[argsLimit - 1] = 0;
    expect(ofArgs(bytes).args).toEqual(['x'.repeat(argsLimit - 1), '']);
  });

  test('that are cut within a character do not make others of it', () => {
    const [first] = ofArgs(Buffer.from(`x${'é'.repeat(argsLimit / 2)}`)).args ?? [];
    expect(first).toMatch(/^xé{2047}\u{fffd}$/u);
  });
});

describe('the cgroup', () => {
  const ofCgroup = (text: string): string | undefined =>
    decodeImage({ ...none, cgroup: Buffer.from(text) }).cgroup;

  test.each<[string, string, string | undefined]>([
    ['the unified hierarchy alone', '0::/user.slice/x.scope\n', '/user.slice/x.scope'],
    ['its root', '0::/\n', '/'],
    ['both, the unified one in use', '1:name=systemd:/a\n0::/b\n', '/b'],
    ['both, systemd’s in use', '2:cpu:/c\n1:name=systemd:/a\n0::/\n', '/a'],
    ['none but systemd’s', '2:cpu:/c\n1:name=systemd:/a\n', '/a'],
    ['none of them', '2:cpu:/c\n', undefined],
    ['colons in the path', '0::/a:b::c\n', '/a:b::c'],
    ['nothing', '', undefined],
  ])('is the path that systemd would name: %s', (_what, text, path) => {
    expect(ofCgroup(text)).toBe(path);
  });
});
