import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { containerOf, findContainer } from '../src/processes/container.ts';

interface Row {
  readonly name: string;
  readonly runtime: string | null;
  readonly version: 'v1' | 'v2' | 'hybrid';
  readonly cgroup: string;
  readonly container: string | null;
}

const fixture = new URL('./fixtures/cgroups.json', import.meta.url);
const { cgroups } = JSON.parse(readFileSync(fixture, 'utf8')) as { cgroups: Row[] };
const id = '0123456789abcdef'.repeat(4);

describe('the container of a cgroup', () => {
  test.each(cgroups)('$version: $name', ({ runtime, cgroup, container }) => {
    expect(findContainer(cgroup)).toEqual(
      container === null || runtime === null ? undefined : { runtime, id: container },
    );
    expect(containerOf(cgroup)).toBe(container ?? undefined);
  });

  test.each<[string, string]>([
    ['one digit too many', `/docker/${id}0`],
    ['one digit too few', `/docker/${id.slice(1)}`],
    ['capitals', `/docker/${id.toUpperCase()}`],
    ['something before the prefix', `/system.slice/mydocker-${id}.scope`],
    ['something behind the suffix', `/system.slice/docker-${id}.scope.d`],
    ['a unit of another kind', `/system.slice/docker-${id}.service`],
    ['a parent that only ends like one', `/mydocker/${id}`],
    ['an id two levels below', `/docker/x/${id}`],
    ['a pod without a uid', `/kubepods/podium/${id}`],
    ['a controller called like a path', `/docker/x:/${id}`],
    ['a machine without a name', '/machine.slice/machine-.scope'],
    ['the folder of all containers', '/lxc'],
  ])('takes no other name for one: %s', (_name, path) => {
    expect(findContainer(`0::${path}\n`)).toBeUndefined();
  });

  test('is told of the last line without its line feed', () => {
    expect(containerOf(`0::/docker/${id}`)).toBe(id);
  });

  test('is looked for in the path alone', () => {
    expect(containerOf(`1:name=/docker/${id}:/\n`)).toBeUndefined();
    expect(containerOf(`0:/docker/${id}`)).toBeUndefined();
  });

  test('is told with its hyphens, and with other escapes as they are', () => {
    const named = (name: string) => containerOf(`0::/machine.slice/machine-${name}.scope\n`);
    expect(named(String.raw`a\x2db\x2d\x2dc`)).toBe('a-b--c');
    expect(named(String.raw`a\x1b\x00\x0a\x2f\xff`)).toBe(String.raw`a\x1b\x00\x0a\x2f\xff`);
    expect(named(String.raw`a\x2`)).toBe(String.raw`a\x2`);
    expect(named(String.raw`a\x5cx2d`)).toBe(String.raw`a\x5cx2d`);
  });

  test('may be called like a virtual machine, unless it has a number like one', () => {
    expect(containerOf(`0::/machine.slice/machine-qemu\\x2dtools.scope\n`)).toBe('qemu-tools');
    expect(containerOf(`0::/machine.slice/machine-qemu\\x2d1\\x2dtools.scope\n`)).toBeUndefined();
  });
});

describe('a hostile cgroup', () => {
  /** Pieces that rules begin, repeat or end with. */
  const piece = fc.oneof(
    fc.constantFrom('/', ':', '-', '.', '\\', '\n'),
    fc.constantFrom(
      'docker',
      'docker-',
      ':docker:',
      'libpod-',
      'crio-',
      'kubepods-',
      'pod',
      id,
      id.slice(32),
    ),
    fc.constantFrom('machine-', 'systemd-nspawn@', 'lxc', 'lxc.payload', '.scope', '.slice', '.service'),
    fc.constantFrom(String.raw`\x2d`, 'supervisor', ' (deleted)', '0::', '1:name=systemd:'),
    fc.string({ unit: 'binary' }),
  );

  test('never makes it throw, or tell what could not be a name', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const found = containerOf(`0::/${pieces.join('')}\n`);
        expect(found ?? 'none').toMatch(/^\w[\w.+@:\\-]*$/);
      }),
      { numRuns: 5000 },
    );
  });

  test.each<[string, string, string]>([
    ['segments', '/', 'docker/'],
    ['empty segments', '/', '/'],
    ['colons', '/', ':'],
    ['colons of a driver', '/', ':docker:'],
    ['hyphens', '/kubepods', '-pod'],
    ['pods', '/', `-pod${'0'.repeat(31)}`],
    ['digits', '/docker-', '0'],
    ['a machine that never ends', '/machine-', String.raw`\x2d`],
    ['suffixes', '/machine-a', '.scope'],
    ['instances', '/systemd-nspawn@', 'a@'],
    ['payloads', '/lxc.payload.', 'lxc.payload.'],
    ['blanks', '/', ' (deleted)'],
  ])('is looked through in linear time: %s', (_name, start, repeated) => {
    // A hundred times what the kernel would show: anything quadratic would take minutes.
    const path = start + repeated.repeat(Math.ceil(409_600 / repeated.length));
    expect(() => containerOf(`0::${path}!\n`)).not.toThrow();
    expect(() => containerOf(`0::${path}/${id}\n`)).not.toThrow();
  });
});
