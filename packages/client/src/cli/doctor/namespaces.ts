/*
 * The namespaces: whether this is the machine itself, or a container on it.
 */
import { existsSync } from 'node:fs';
import {
  foreignKinds,
  howToServe,
  namespaceKinds,
  namespaceList,
  type Namespaces,
} from '../../namespaces.ts';
import type { Check } from './check.ts';

/** Files that container engines leave, and the names of these. */
const marks: readonly (readonly [path: string, name: string])[] = [
  ['/.dockerenv', 'Docker'],
  ['/run/.containerenv', 'Podman'],
  ['/run/systemd/container', 'systemd-nspawn or the like'],
];

/** What kind of container this seems to be, by the traces that engines leave. */
export function containerHint(exists: (path: string) => boolean = existsSync): string | undefined {
  return marks.find(([path]) => exists(path))?.[1];
}

/**
 * Whether a helper could hear the kernel here and, where it serves from outside, whether what it tells means
 * the same here.
 *
 * @param socket - where a helper is to be reached
 * @param served - whether one is there
 * @param hint - the kind of the container, if it is one
 */
export function checkNamespaces(
  namespaces: Namespaces,
  socket: string,
  served: boolean,
  hint: string | undefined,
): Check {
  const name = 'namespaces';
  const foreign = foreignKinds(namespaces);
  const unknown = namespaceKinds.filter((kind) => namespaces[kind] === undefined);
  if (foreign.length === 0) {
    if (unknown.length === namespaceKinds.length) {
      return { name, status: 'skip', what: 'they cannot be told, as /proc shows none' };
    }
    const but = unknown.length === 0 ? '' : `, but for the ${namespaceList(unknown)}, which cannot be told`;
    return { name, status: 'ok', what: `the machine's own${but}` };
  }
  const where = `another ${namespaceList(foreign)} than the machine's (${hint ?? 'a container'}?)`;
  if (!served) {
    return {
      name,
      status: 'fail',
      what: `${where}, in which the kernel tells no process events`,
      remedy: howToServe(socket),
    };
  }
  if (!foreign.includes('pid')) return { name, status: 'ok', what: `${where}; the helper is outside of it` };
  return {
    name,
    status: 'warn',
    what: `${where}; the helper is outside of it, and the pids that it tells are those outside`,
    remedy: 'Choose processes by --container or --cgroup: a pid of in here is that of another process there.',
  };
}
