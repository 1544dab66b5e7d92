/*
 * Finding a helper at a Unix socket, and saying what to do where that fails.
 */
import { once } from 'node:events';
import { readFileSync, statSync, type Stats } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { userInfo } from 'node:os';
import { defaultSocketPath, ProcbusError } from '@procbus/protocol';
import { pause } from './backoff.ts';
import { Bus } from './bus.ts';
import { Connection } from './connection.ts';
import type { ConnectionChange } from './link.ts';

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
    return Connection.open(await openSocket(path, giveUp), giveUp);
  };
  return new Bus(await open(signal), { reopen: reconnect ? open : undefined, onConnection });
}

/** Where the machine's helper is to be found. */
export function socketPath(env: NodeJS.ProcessEnv = process.env): string {
  return env['PROCBUS_SOCKET'] ?? defaultSocketPath;
}

/** How long, in ms, a helper may have more connections waiting than the kernel queues for it. */
const queueDeadline = 5000;

async function openSocket(path: string, signal: AbortSignal | undefined): Promise<Socket> {
  const end = performance.now() + queueDeadline;
  for (;;) {
    const socket = connectSocket(path);
    try {
      await once(socket, 'connect', { signal });
      return socket;
    } catch (error) {
      socket.destroy();
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
      return new ProcbusError('no-helper', `there is no socket at ${path}`, {
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

function howToStart(path: string): string {
  return path === defaultSocketPath
    ? 'Start it with: systemctl start procbus.socket'
    : `Start one with: procbusd --socket ${path}`;
}

function notPermitted(path: string, stats: Stats | undefined, cause: Error): ProcbusError {
  const user = userName();
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
