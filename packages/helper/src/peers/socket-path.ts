/*
 * A Unix socket at a path of the file system: claimed without a race, given up without harm.
 *
 * Invariants: two helpers never serve one path; what is not a socket is never removed; a socket
 * that another helper has put in our place meanwhile stays.
 * The directory is locked (flock(2)) only while the path is looked at and bound. The socket is made
 * by hand because Node would unlink the path at close whoever owns it by then.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  lstatSync,
  openSync,
  unlinkSync,
  type BigIntStats,
} from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProcbusError } from '@procbus/protocol';
import * as libc from '../libc.ts';

/** How to make the socket. */
export interface SocketOptions {
  readonly path: string;
  /** Who may connect besides the owner; the helper's own group where it is left out. */
  readonly group?: string | undefined;
  /** Permission bits. */
  readonly mode: number;
}

/** A listening socket and the way to remove its path. */
export interface ClaimedSocket {
  readonly fd: number;
  /** Removes the path, if it is still ours. */
  release(): void;
}

const lockDeadline = 5000;
const backlog = 511;

/**
 * Binds and listens at a path, taking over what a helper that died has left there.
 *
 * @throws ProcbusError `socket-in-use`, `socket-path` or `no-such-group`
 */
export async function claimSocket(options: SocketOptions): Promise<ClaimedSocket> {
  const { path, mode } = options;
  if (Buffer.byteLength(path) > libc.maxUnixPath) {
    throw new ProcbusError('socket-path', `the path ${path} is longer than ${libc.maxUnixPath} bytes`, {
      remedy: 'Choose a shorter one: the kernel limits the paths of Unix sockets.',
    });
  }
  const gid = options.group === undefined ? undefined : groupId(options.group);
  const directory = await lockDirectory(dirname(path));
  try {
    await clearPath(path);
    const fd = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM | libc.SOCK_CLOEXEC | libc.SOCK_NONBLOCK, 0);
    try {
      bindPrivately(fd, path);
      if (gid !== undefined) chownSync(path, -1, gid);
      chmodSync(path, mode);
      libc.listen(fd, backlog);
    } catch (cause) {
      libc.close(fd);
      throw cannotUse(path, cause);
    }
    const ours = lstatSync(path, { bigint: true });
    return { fd, release: () => removeIfSame(path, ours) };
  } finally {
    closeSync(directory);
  }
}

/** Nobody else may connect before owner and mode are set. */
function bindPrivately(fd: number, path: string): void {
  const umask = process.umask(0o177);
  try {
    libc.bind(fd, libc.unixAddress(path));
  } finally {
    process.umask(umask);
  }
}

async function lockDirectory(directory: string): Promise<number> {
  let fd: number;
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    throw cannotUse(`${directory}/`, cause);
  }
  const deadline = Date.now() + lockDeadline;
  while (!libc.tryLock(fd)) {
    if (Date.now() > deadline) {
      closeSync(fd);
      throw new ProcbusError('socket-in-use', `another program holds a lock on ${directory}`, {
        remedy: `Find it with: fuser -v ${directory}`,
      });
    }
    await sleep(20);
  }
  return fd;
}

/** Makes way for a socket at `path`: removes a stale one, leaves anything else alone. */
async function clearPath(path: string): Promise<void> {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new ProcbusError('socket-path', `${path} exists and is not a socket`, {
      remedy: 'Choose another path, or move that file away.',
    });
  }
  if (await isServed(path)) {
    throw new ProcbusError('socket-in-use', `another procbusd serves ${path}`, {
      remedy: 'Connect to it, stop it, or choose another path with --socket.',
    });
  }
  unlinkSync(path);
}

/** Whether somebody accepts connections at a socket. */
async function isServed(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      // EAGAIN: somebody listens, but the queue of connections is full.
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else if (error.code === 'EAGAIN') resolve(true);
      else reject(cannotUse(path, error));
    });
  });
}

function removeIfSame(path: string, ours: BigIntStats): void {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (found?.isSocket() === true && found.dev === ours.dev && found.ino === ours.ino) unlinkSync(path);
}

function groupId(name: string): number {
  const gid = libc.groupId(name);
  if (gid !== undefined) return gid;
  throw new ProcbusError('no-such-group', `there is no group ${name}`, {
    remedy: `Create it with: groupadd --system ${name}`,
  });
}

function cannotUse(path: string, cause: unknown): ProcbusError {
  const { code = 'error', message } = cause as NodeJS.ErrnoException;
  const remedies: Record<string, string> = {
    ENOENT: `Create the directory first: mkdir -p ${path}; or choose another path with --socket.`,
    ENOTDIR: 'Choose another path with --socket: a part of this one is no directory.',
    EACCES: 'Run procbusd as a user who may write there, or choose another path with --socket.',
    EPERM: 'Only root may give a socket to a group that it is not in itself.',
    EROFS: 'That file system is read-only; choose another path with --socket.',
    ENOSPC: 'That file system is full; free some space or choose another path with --socket.',
  };
  const remedy = remedies[code];
  return new ProcbusError('socket-path', `cannot use ${path}: ${message}`, {
    ...(remedy === undefined ? {} : { remedy }),
    cause,
  });
}
