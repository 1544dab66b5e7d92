/*
 * Whether this process is in the initial namespaces: only there does the kernel tell process events, and only
 * there are ids of users and processes those of the machine.
 *
 * The inode numbers of the initial user and pid namespace are fixed, see linux/proc_ns.h; that of the network
 * namespace is not, before Linux 6.18. There it counts what the kernel shows in the initial one alone.
 */
import { existsSync, readFileSync, readlinkSync } from 'node:fs';

/** The namespaces that matter. */
export const namespaceKinds = ['user', 'pid', 'network'] as const;

/** One of {@link namespaceKinds}. */
export type NamespaceKind = (typeof namespaceKinds)[number];

/** For each kind whether it is the initial namespace; undefined where that cannot be told. */
export type Namespaces = Readonly<Record<NamespaceKind, boolean | undefined>>;

/** What can be seen of the namespaces of a process. */
export interface NamespaceSigns {
  /** Where the links of /proc/self/ns lead to, as in `user:[4026531837]`; undefined where they cannot be read. */
  readonly user: string | undefined;
  readonly pid: string | undefined;
  /** Whether there is /proc/net/connector: only in the initial network namespace. */
  readonly connectorFile: boolean;
  /** Whether there is a sysctl of the network that is not one of each namespace; undefined where there are none at all. */
  readonly machineSysctl: boolean | undefined;
}

const initial = { user: 'user:[4026531837]', pid: 'pid:[4026531836]' } as const;

/** Draws the conclusion. */
export function judgeNamespaces({ user, pid, connectorFile, machineSysctl }: NamespaceSigns): Namespaces {
  return {
    user: user === undefined ? undefined : user === initial.user,
    pid: pid === undefined ? undefined : pid === initial.pid,
    network: connectorFile ? true : machineSysctl,
  };
}

/** Looks at the namespaces of this process. */
export function readNamespaces(): Namespaces {
  const sysctls = '/proc/sys/net/core';
  return judgeNamespaces({
    user: linkOf('user'),
    pid: linkOf('pid'),
    connectorFile: existsSync('/proc/self/net/connector'),
    machineSysctl: existsSync(sysctls) ? existsSync(`${sysctls}/netdev_max_backlog`) : undefined,
  });
}

/** Those kinds in which this process is for certain in another namespace than the initial one. */
export function foreignKinds(namespaces: Namespaces = readNamespaces()): NamespaceKind[] {
  return namespaceKinds.filter((kind) => namespaces[kind] === false);
}

/** Kinds in words: `user and pid namespace`. */
export function namespaceList(kinds: readonly NamespaceKind[]): string {
  const [last = '', ...others] = kinds.toReversed();
  const before = others.toReversed().join(', ');
  return `${before === '' ? last : `${before} and ${last}`} namespace`;
}

/** What would help where no helper can hear the kernel; the helper has the same words for it. */
export function howToServe(socket: string): string {
  return `Run procbusd on the host and mount its socket here, at ${socket}`;
}

/**
 * The id that a user of this user namespace has in the one around it.
 *
 * @param map - /proc/self/uid_map, see user_namespaces(7)
 * @returns undefined for a user that is not mapped
 */
export function outerUid(uid: number, map: string = readMap()): number | undefined {
  for (const line of map.split('\n')) {
    const [inside = Number.NaN, outside = Number.NaN, count = 0] = line.trim().split(/\s+/).map(Number);
    if (uid >= inside && uid < inside + count) return outside + uid - inside;
  }
  return undefined;
}

function readMap(): string {
  try {
    return readFileSync('/proc/self/uid_map', 'utf8');
  } catch {
    return '';
  }
}

function linkOf(name: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/ns/${name}`);
  } catch {
    return undefined;
  }
}
