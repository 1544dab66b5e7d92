/*
 * Finding a helper at a Unix socket, and saying what to do where that fails.
 */
import { once } from 'node:events';
import { accessSync, constants, existsSync, readFileSync, statSync, type Stats } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, resolve } from 'node:path';
import { defaultSocketPath, ProcbusError } from '@procbus/protocol';
import { pause } from './backoff.ts';
import { Bus } from './bus.ts';
import { Connection } from './connection.ts';
import type { ConnectionChange } from './link.ts';
import { foreignKinds, howToServe, namespaceList, outerUid } from './namespaces.ts';
import { wireTo, type Wire } from './wire.ts';

/** Where to connect, and for how long. */
export interface ConnectOptions {
  /** Path of the helper's socket; by default `$PROCBUS_SOCKET`, or `/run/procbus/procbus.sock`. */
  readonly socket?: string | undefined;
  /** Gives up connecting: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether to connect again whenever the connection ends, until the bus is closed: at once, and then after longer
   * and longer waits, of 100 ms to 5 s. True by default. If false, the watches of the bus end with its
   * connection. What another connection would not mend ends the bus in any case: `not-permitted`,
   * `not-granted`, `not-a-helper`, `version-mismatch`.
   */
  readonly reconnect?: boolean | undefined;
  /** Told when the connection is lost, before each attempt to make another one, and when there is one. */
  readonly onConnection?: ((change: ConnectionChange) => void) | undefined;
}

/**
 * Connects to the machine's helper. If that fails the first time, it throws at once; from then on it
 * connects again by itself, unless {@link ConnectOptions.reconnect} is false.
 *
 * @throws ProcbusError `no-helper`, `not-permitted`, `not-granted`, `not-a-helper` or `version-mismatch`, each
 * with a remedy
 */
export async function connect(options: ConnectOptions = {}): Promise<Bus> {
  const { socket: path = socketPath(), signal, reconnect = true, onConnection } = options;
  const open = async (giveUp?: AbortSignal): Promise<Connection> => {
    giveUp?.throwIfAborted();
    return Connection.open(await openWire(path, giveUp), giveUp);
  };
  return new Bus(await open(signal), { reopen: reconnect ? open : undefined, onConnection });
}

/** Where the machine's helper is to be found. */
export function socketPath(env: NodeJS.ProcessEnv = process.env): string {
  const { PROCBUS_SOCKET: path = '' } = env;
  return path === '' ? defaultSocketPath : path;
}

/** How long, in ms, a helper may have more connections waiting than the kernel queues for it. */
const queueDeadline = 5000;

async function openWire(path: string, signal: AbortSignal | undefined): Promise<Wire> {
  if (path === '') throw new ProcbusError('usage', 'the path of the socket is empty');
  const end = performance.now() + queueDeadline;
  for (;;) {
    const wire = wireTo(path);
    try {
      await once(wire.socket, 'connect', { signal });
      return wire;
    } catch (error) {
      wire.socket.destroy();
      signal?.throwIfAborted();
      const cause = error as NodeJS.ErrnoException;
      if (cause.code !== 'EAGAIN' || performance.now() > end) throw explain(path, cause);
    }
    // The queue is full: somebody connects faster than can be served. Others do what we do, but not in step.
    await pause(1 + 4 * Math.random(), signal);
  }
}

function explain(path: string, cause: NodeJS.ErrnoException): ProcbusError {
  const stats = statOf(path);
  switch (cause.code) {
    case 'ENOENT':
      return new ProcbusError('no-helper', `there is no socket at ${path}${butWhere()}`, {
        remedy: howToStart(path),
        cause,
      });
    case 'ECONNREFUSED':
      if (stats?.isSocket() === false) {
        return new ProcbusError('not-a-helper', `${path} is not a socket`, {
          remedy: `The usual one is ${defaultSocketPath}.`,
          cause,
        });
      }
      return new ProcbusError(
        'no-helper',
        `nobody listens at ${path}; a helper that ended has left it there`,
        {
          remedy: howToStart(path),
          cause,
        },
      );
    case 'EACCES':
    case 'EPERM':
      return notPermitted(path, stats, cause);
    case 'EAGAIN':
      return new ProcbusError('no-helper', `too many others want to connect to ${path} at the moment`, {
        remedy: 'Try again later; procbus stats shows who is connected.',
        cause,
      });
    default:
      return new ProcbusError('no-helper', `cannot connect to ${path}: ${cause.message}`, { cause });
  }
}

/** What lies at a path, as far as we may look: a directory on the way can be closed to us. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** Our name; not every uid has one. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`;
  }
}

/** Where we are, if no helper could run here. */
function butWhere(): string {
  const foreign = foreignKinds();
  return foreign.length === 0
    ? ''
    : `, and in another ${namespaceList(foreign)} than the machine's (a container?) none can run`;
}

/** What would help where there is no helper. */
function howToStart(path: string): string {
  if (foreignKinds().length > 0) return howToServe(path);
  if (path !== defaultSocketPath) return `Start one with: procbusd --socket ${path}`;
  return isUnitInstalled()
    ? 'Start it with: systemctl start procbus.socket'
    : 'Start one, as root: procbusd --group procbus; or have systemd do it: procbusd install';
}

/** Whether systemd would know procbus.socket, see systemd.unit(5). */
function isUnitInstalled(): boolean {
  return ['/etc', '/run', '/usr/local/lib', '/usr/lib', '/lib'].some((directory) =>
    existsSync(`${directory}/systemd/system/procbus.socket`),
  );
}

function notPermitted(path: string, stats: Stats | undefined, cause: Error): ProcbusError {
  const user = userName();
  if (foreignKinds().includes('user')) return notPermittedFromHere(path, user, cause);
  const closed = stats === undefined ? closedDirectory(path) : undefined;
  if (closed !== undefined) {
    return new ProcbusError(
      'not-permitted',
      `you (${user}) may not connect to ${path}: the directory ${closed} is closed to you`,
      { remedy: `Ask an administrator to open it: chmod a+x ${closed}`, cause },
    );
  }
  const gid = stats?.gid;
  const group = gid === undefined ? undefined : findGroup(gid);
  const groupMayWrite = stats !== undefined && (stats.mode & 0o020) !== 0;
  if (group === undefined || gid === 0 || !groupMayWrite) {
    return new ProcbusError('not-permitted', `you (${user}) may not connect to ${path}`, {
      remedy: 'Ask an administrator to run procbusd with --group procbus, and to add you to that group.',
      cause,
    });
  }
  if (group.members.includes(user)) {
    return new ProcbusError(
      'not-permitted',
      `${path} is for group ${group.name}, which you (${user}) joined after you logged in`,
      {
        remedy: `Log in again, or run: newgrp ${group.name}`,
        cause,
      },
    );
  }
  return new ProcbusError(
    'not-permitted',
    `${path} is for group ${group.name}, and you (${user}) are not in it`,
    {
      remedy: `Join it with: sudo usermod -aG ${group.name} ${user}; then log in again`,
      cause,
    },
  );
}

/** The first directory on the way to a path that we may not go through. */
function closedDirectory(path: string): string | undefined {
  const directories: string[] = [];
  for (let at = dirname(resolve(path)); !directories.includes(at); at = dirname(at)) directories.unshift(at);
  return directories.find((directory) => {
    try {
      accessSync(directory, constants.X_OK);
      return false;
    } catch {
      return true;
    }
  });
}

/** The error in another user namespace, whose names and ids of users and groups say nothing of those outside. */
function notPermittedFromHere(path: string, user: string, cause: Error): ProcbusError {
  const uid = outerUid(process.geteuid?.() ?? -1);
  const outside = uid === undefined ? 'somebody else' : `uid ${uid}`;
  return new ProcbusError(
    'not-permitted',
    `you may not connect to ${path}: in this user namespace you are ${user}, but outside, where it counts, ${outside}`,
    {
      remedy: 'Have that user join the group of the socket outside, and then start the container anew.',
      cause,
    },
  );
}

interface GroupEntry {
  readonly name: string;
  readonly members: readonly string[];
}

/** Looks a group up in /etc/group, see group(5). Good enough for a message; the kernel decides. */
function findGroup(gid: number): GroupEntry | undefined {
  for (const line of readFileSync('/etc/group', 'utf8').split('\n')) {
    const [name = '', , id, members = ''] = line.split(':');
    if (id === String(gid)) return { name, members: members.split(',') };
  }
  return undefined;
}
