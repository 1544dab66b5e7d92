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

/** The imports that break a rule, as the lines of a failure. */
const broken = (rule: (of: Import) => boolean): string[] =>
  imports.filter(rule).map(({ file, target }) => `${file} imports ${target}`);

const importersOf = (name: string): string[] => [
  ...new Set(
    imports.filter(({ target }) => target === name || target.startsWith(`${name}/`)).map(({ file }) => file),
  ),
];

const packageOf = (path: string): string | undefined =>
  /^(?:packages\/(\w+)\/|@procbus\/(\w+))/.exec(path)?.slice(1).find(Boolean);

/** The stations of the helper's data path, from the lowest up. */
const stations = ['kernel', 'processes', 'bus', 'peers'];
const helper = join('packages', 'helper', 'src');

/** What only main.ts and its neighbours use. */
const besideMain = [
  'hangup.ts',
  'install.ts',
  'kept-socket.ts',
  'command-line.ts',
  'options.ts',
  'settings.ts',
  'stats.ts',
  'systemd/',
];

/**
 * What a file of the helper may import of the helper, by paths below `src`: a file's own, or a folder's
 * beginning.
 */
function allowed(file: string): string[] {
  const below = ['libc.ts', 'log.ts'];
  const [folder = ''] = file.split('/');
  // The topics of libc.ts know what is native, and nothing of each other.
  if (folder === 'libc') return ['libc/native.ts'];
  // What the configuration is about: rules and limits, and the names of users and groups.
  if (folder === 'config') return ['config/', 'peers/policy.ts', 'peers/quota.ts', 'libc.ts'];
  // What a service manager is told and gives, whoever listens.
  if (folder === 'systemd') return ['systemd/', ...below];
  const station = stations.indexOf(folder);
  if (station >= 0) return [...stations.slice(0, station + 1).map((name) => `${name}/`), ...below];
  switch (file) {
    case 'libc.ts':
      return ['libc/'];
    case 'log.ts':
    case 'safe-program.ts':
      return [];
    case 'install.ts':
      return ['command-line.ts', 'config/', 'libc.ts', 'safe-program.ts'];
    case 'hangup.ts':
      return ['libc.ts'];
    case 'kept-socket.ts':
      return ['kernel/', 'systemd/', ...below];
    case 'stats.ts':
      return [...stations.map((name) => `${name}/`), ...below];
    case 'command-line.ts':
    case 'options.ts':
    case 'settings.ts':
    case 'main.ts':
      return [...stations.map((name) => `${name}/`), ...below, 'config/', ...besideMain];
    default:
      throw new Error(`${helper}/${file} is new here: give it a place in this test`);
  }
}

/** A path below the sources of the helper, for a file that is there. */
const inHelper = (path: string): string | undefined =>
  path.startsWith(`${helper}/`) ? path.slice(helper.length + 1) : undefined;

describe('the packages', () => {
  test('share the protocol, and the helper and the client nothing else', () => {
    const may: Record<string, string[]> = {
      protocol: ['protocol'],
      helper: ['helper', 'protocol'],
      client: ['client', 'protocol'],
    };
    const forbidden = broken(({ file, target }) => {
      const into = packageOf(target);
      return into !== undefined && may[packageOf(file) ?? '']?.includes(into) !== true;
    });
    expect(forbidden).toEqual([]);
  });

  test('reach each other by name, never into each other’s files', () => {
    const reaching = broken(
      ({ file, target }) => target.startsWith('packages/') && packageOf(file) !== packageOf(target),
    );
    expect(reaching).toEqual([]);
  });

  test('import files that are there', () => {
    const missing = broken(({ target }) => target.startsWith('packages/') && !files.includes(target));
    expect(missing).toEqual([]);
  });
});

describe('the helper', () => {
  test('imports one way: a file from its own or an earlier station of kernel, processes, bus, peers, main', () => {
    const upstream = broken(({ file, target }) => {
      const [from, to] = [inHelper(file), inHelper(target)];
      if (from === undefined || to === undefined) return false;
      return !allowed(from).some((place) => (place.endsWith('/') ? to.startsWith(place) : to === place));
    });
    expect(upstream).toEqual([]);
  });

  test('has a place in this test for each of its files', () => {
    const placed = files.map(inHelper).filter((file) => file !== undefined);
    expect(() => placed.map(allowed)).not.toThrow();
    expect(placed).toContain('main.ts');
  });
});

describe('the foreign interfaces', () => {
  test('koffi is known to one file', () => {
    expect(importersOf('koffi')).toEqual(['packages/helper/src/libc/native.ts']);
  });

  test('the parser of TOML is known to one file', () => {
    expect(importersOf('toml-eslint-parser')).toEqual(['packages/helper/src/config/toml.ts']);
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
