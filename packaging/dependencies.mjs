/*
 * What runs in production: the three packages and all that they depend on, each with the files that are run and
 * nothing else. No sources, no types, no maps, no tests, no builds for other machines.
 */
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** The packages of the project, by the names of their folders. */
export const packages = ['protocol', 'helper', 'client'];

/** Debian's architectures for which koffi comes ready built, by the names that Node has for them. */
export const architectures = {
  amd64: 'x64',
  arm64: 'arm64',
  loong64: 'loong64',
  ppc64el: 'ppc64',
  riscv64: 'riscv64',
};

/** Files of dependencies that are never run: other builds of the same, tools of their authors. */
const unused = [
  /^koffi\/(?:cnoke|.*\/trampolines)\.cjs$/,
  /^msgpackr\/(?:dist\/|rollup\.config\.js$|test-worker\.js$)/,
  /^yargs(?:-parser)?\/(?:.*\/)?browser\.m?js$/,
  /^@koromix\/[^/]*\/musl_/,
];

/** A dependency: where it lies, and where it goes below node_modules. */
/** @typedef {{ name: string, version: string, license: string, from: string, to: string }} Dependency */

/**
 * All that the three packages depend on.
 *
 * @param {string} root - of the repository
 * @param {string} cpu - as Node names it
 * @param {string} temporary - a directory for what has to be fetched, for another machine than this one
 * @returns {Dependency[]}
 */
export function productionDependencies(root, cpu, temporary) {
  const modules = join(root, 'node_modules');
  const found = new Map();
  const visit = (name, from) => {
    const directory = nearest(name, from) ?? fetchPackage(root, name, temporary);
    const to = directory.startsWith(modules) ? relative(modules, directory) : name;
    if (found.has(to)) return;
    const { version, license, ...manifest } = readManifest(directory);
    found.set(to, { name, version, license, from: directory, to });
    visitAll(manifest, directory);
  };
  const visitAll = ({ dependencies = {}, optionalDependencies = {} }, from) => {
    // Of what is optional, only koffi's build for this machine is used.
    const builds = Object.keys(optionalDependencies).filter((name) => name.endsWith(`/koffi-linux-${cpu}`));
    for (const name of [...Object.keys(dependencies), ...builds]) {
      if (!name.startsWith('@procbus/')) visit(name, from);
    }
  };
  for (const name of packages) {
    const directory = join(root, 'packages', name);
    visitAll({ dependencies: readManifest(directory).dependencies }, directory);
  }
  return [...found.values()].toSorted((a, b) => (a.to < b.to ? -1 : 1));
}

/**
 * The files of a dependency that are run, by their paths in it.
 *
 * @param {Dependency} dependency
 */
export function filesThatRun({ name, from }) {
  return filesBelow(from).filter(
    (file) =>
      /\.(?:[cm]?js|json|node)$/.test(file) &&
      !/(?:^|\/)(?:node_modules\/|\.)/.test(file) &&
      !unused.some((pattern) => pattern.test(`${name}/${file}`)),
  );
}

/**
 * What was built of a package of the project, by the paths in it: only what there still is a source of.
 *
 * @param {string} directory
 */
export function builtFiles(directory) {
  return filesBelow(join(directory, 'dist'))
    .filter((file) => file.endsWith('.js') && existsSync(join(directory, 'src', file.replace(/js$/, 'ts'))))
    .map((file) => `dist/${file}`);
}

/** All files below a directory, sorted. */
export function filesBelow(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .toSorted();
}

/** The package.json in a directory. */
export function readManifest(directory) {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
}

/** Where Node would find a package, seen from a directory. */
function nearest(name, from) {
  for (let directory = from; ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', name);
    if (existsSync(candidate)) return candidate;
    if (directory === dirname(directory)) return undefined;
  }
}

/** Fetches a package that npm does not install on this machine, in the version of the lock file. */
function fetchPackage(root, name, temporary) {
  const { packages: locked } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const { version, integrity } = locked[`node_modules/${name}`] ?? {};
  if (version === undefined) throw new Error(`${name} is not in package-lock.json; run npm install`);
  const directory = join(temporary, name);
  mkdirSync(directory, { recursive: true });
  const tarball = join(directory, run('npm', ['pack', '--silent', `${name}@${version}`], directory).trim());
  const sum = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
  if (sum !== integrity) throw new Error(`${name}@${version} is not what package-lock.json says`);
  run('tar', ['-xzf', tarball, '--strip-components=1'], directory);
  return directory;
}

/** Runs a command and returns what it prints. */
export function run(command, args, cwd) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
}
