/*
 * Descriptors that the service manager hands over, by the protocol of sd_listen_fds(3): a socket to listen on, and
 * what an earlier process has given it to keep.
 */
import { ProcbusError } from '@procbus/protocol';
import * as libc from '../libc.ts';

const firstInheritedFd = 3;

/** What was handed over. */
export interface Inherited {
  /** A Unix socket that listens. */
  readonly listening: number | undefined;
  /** What was kept, by the name that it was given. */
  readonly kept: ReadonlyMap<string, number>;
}

/**
 * Takes what was handed over, and its names out of the environment. Of several of one name that were kept, all but one
 * are closed.
 *
 * @param names - those that something may have been kept under
 * @throws ProcbusError `activation` for anything else but one listening Unix stream socket
 */
export function takeInherited(env: NodeJS.ProcessEnv, names: ReadonlySet<string>): Inherited {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = '' } = env;
  // Children must not take them for theirs.
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
  const count = LISTEN_PID === String(process.pid) ? Number(LISTEN_FDS ?? 0) : 0;
  const nameOf = LISTEN_FDNAMES.split(':');
  const kept = new Map<string, number>();
  const sockets: number[] = [];
  for (let index = 0; index < count; index++) {
    const [fd, name = ''] = [firstInheritedFd + index, nameOf[index]];
    if (!names.has(name)) sockets.push(fd);
    else if (kept.has(name)) libc.close(fd);
    else kept.set(name, fd);
  }
  return { listening: onlyOne(sockets), kept };
}

function onlyOne(sockets: readonly number[]): number | undefined {
  const [fd] = sockets;
  if (fd === undefined) return undefined;
  if (sockets.length > 1) {
    throw new ProcbusError(
      'activation',
      `${sockets.length} sockets were handed over, and procbusd takes one`,
      {
        remedy: 'Give procbus.socket exactly one ListenStream=.',
      },
    );
  }
  if (!isListeningUnixStream(fd)) {
    throw new ProcbusError('activation', 'what was handed over is not a listening Unix stream socket', {
      remedy: 'Give procbus.socket a ListenStream= with an absolute path, and leave Accept=no.',
    });
  }
  return fd;
}

function isListeningUnixStream(fd: number): boolean {
  const option = (name: number): number | undefined => libc.socketOption(fd, libc.SOL_SOCKET, name);
  return (
    option(libc.SO_DOMAIN) === libc.AF_UNIX &&
    option(libc.SO_TYPE) === libc.SOCK_STREAM &&
    option(libc.SO_ACCEPTCONN) === 1
  );
}
