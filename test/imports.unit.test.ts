/*
 * The architecture, checked: who may import whom.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

interface Import {
  /** The importing file, as in `packages/helper/src/main.ts`. */
  readonly file: string;
  /** What it imports: a file of this repository, or a module's name. */
  readonly target: string;
}

const root = fileURLToPath(new URL('..', import.meta.url));

/** `import … from '…'`, `export … from '…'`, `import '…'` and `import('…')`, at the beginning of a line or not. */
const statement =
  /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"]([^'"]+)['"]/gm;

const files = ['protocol', 'helper', 'client'].flatMap((name) => {
  const folder = join('packages', name, 'src');
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file));
});

const imports: Import[] = files.flatMap((file) =>
  importsOf(readFileSync(join(root, file), 'utf8')).map((name) => ({
    file,
    target: name.startsWith('.') ? normalize(join(dirname(file), name)) : name,
  })),
);

function importsOf(source: string): string[] {
  return [...source.matchAll(statement)].map(([, from, bare]) => from ?? bare ?? '');
}

/** Fails with a line for each import that breaks a rule. */
function expectNone(broken: readonly Import[], rule: string): void {
  const lines = broken.map(({ file, target }) => `${file} imports ${target}: ${rule}`);
  expect(lines.join('\n')).toBe('');
}

const packageOf = (path: string): string | undefined =>
  /^(?:packages\/(\w+)\/|@procbus\/(\w+))/.exec(path)?.slice(1).find(Boolean);

/** The stations of the helper's data path, from the lowest up. */
const stations = ['kernel', 'processes', 'bus', 'peers'];
const helper = join('packages', 'helper', 'src');

/**
 * What a file of the helper may import of the helper, by paths below `src`: a file's own, or a folder's
 * beginning.
 */
function allowed(file: string): string[] {
  const below = ['libc.ts', 'log.ts'];
  const [folder = ''] = file.split('/');
  const station = stations.indexOf(folder);
  if (station >= 0) return [...stations.slice(0, station + 1).map((name) => `${name}/`), ...below];
  switch (file) {
    case 'libc.ts':
    case 'log.ts':
      return [];
    case 'systemd.ts':
      return ['libc.ts'];
    case 'options.ts':
    case 'stats.ts':
    case 'main.ts':
      return [...stations.map((name) => `${name}/`), ...below, 'systemd.ts', 'options.ts', 'stats.ts'];
    default:
      throw new Error(`${helper}/${file} is new here: give it a place in this test`);
  }
}

describe('the packages', () => {
  test('protocol imports neither the helper nor the client, and those not each other', () => {
    const may: Record<string, string[]> = {
      protocol: ['protocol'],
      helper: ['helper', 'protocol'],
      client: ['client', 'protocol'],
    };
    const broken = imports.filter(({ file, target }) => {
      const into = packageOf(target);
      return into !== undefined && may[packageOf(file) ?? '']?.includes(into) !== true;
    });
    expectNone(broken, 'the helper and the client share nothing but the protocol');
  });

  test('reach each other by name, never into each other’s files', () => {
    const broken = imports.filter(
      ({ file, target }) => target.startsWith('packages/') && packageOf(file) !== packageOf(target),
    );
    expectNone(broken, 'import the package by its name');
  });

  test('import files that are there', () => {
    const broken = imports.filter(({ target }) => target.startsWith('packages/') && !files.includes(target));
    expectNone(broken, 'there is no such file');
  });
});

describe('the helper', () => {
  test('imports one way: kernel, processes, bus, peers, main', () => {
    const inHelper = ({ file, target }: Import): boolean =>
      [file, target].every((path) => path.startsWith(helper));
    const broken = imports.filter(inHelper).filter(({ file, target }) => {
      const [from, to] = [file, target].map((path) => path.slice(helper.length + 1)) as [string, string];
      return !allowed(from).some((place) => to === place || (place.endsWith('/') && to.startsWith(place)));
    });
    expectNone(broken, `a file may import from its own or an earlier station (${stations.join(', ')})`);
  });

  test('has a place in this test for each of its files', () => {
    for (const file of files.filter((path) => path.startsWith(helper)))
      allowed(file.slice(helper.length + 1));
  });
});

describe('the foreign interfaces', () => {
  const importersOf = (name: string): string[] => [
    ...new Set(
      imports
        .filter(({ target }) => target === name || target.startsWith(`${name}/`))
        .map(({ file }) => file),
    ),
  ];

  test('koffi is known to one file', () => {
    expect(importersOf('koffi')).toEqual(['packages/helper/src/libc.ts']);
  });

  test('msgpackr is known to one file', () => {
    expect(importersOf('msgpackr')).toEqual(['packages/protocol/src/codec.ts']);
  });
});

test('every form of import is seen', () => {
  const source = [
    "import 'a';",
    "import b from 'b';",
    "import * as c from './c.ts';",
    "import type { D } from 'd';",
    'import {\n  e,\n  type E,\n} from "e";',
    "export * from 'f';",
    "export { g } from 'g';",
    "const h = await import('h');",
    "type I = import('i').I;",
  ].join('\n');
  expect(importsOf(source).map((name) => name.replace(/\W|ts$/g, ''))).toEqual('abcdefghi'.split(''));
});
