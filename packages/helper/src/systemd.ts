/*
 * The two protocols of systemd: sockets it has opened for us, see sd_listen_fds(3), and telling it
 * when we are ready, see sd_notify(3). Both are environment variables and need no library.
 */
import { ProcbusError } from '@procbus/protocol';
import * as libc from './libc.ts';

const firstInheritedFd = 3;

/**
 * The listening socket that the service manager hands over.
 *
 * @returns undefined where there is none, or where it is meant for another process
 * @throws ProcbusError `activation` for anything but one listening Unix stream socket
 */
export function inheritedSocket(env: NodeJS.ProcessEnv): number | undefined {
  const { LISTEN_PID, LISTEN_FDS } = env;
  // Children must not take them for theirs.
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
  if (LISTEN_FDS === undefined || LISTEN_PID !== String(process.pid)) return undefined;
  if (LISTEN_FDS !== '1') {
    throw new ProcbusError('activation', `${LISTEN_FDS} sockets were handed over, and procbusd takes one`, {
      remedy: 'Give procbus.socket exactly one ListenStream=.',
    });
  }
  if (!isListeningUnixStream(firstInheritedFd)) {
    throw new ProcbusError('activation', 'what was handed over is not a listening Unix stream socket', {
      remedy: 'Give procbus.socket a ListenStream= with an absolute path, and leave Accept=no.',
    });
  }
  return firstInheritedFd;
}

function isListeningUnixStream(fd: number): boolean {
  const option = (name: number): number | undefined => {
    const value = new Uint32Array(1);
    libc.getSocketOption(fd, libc.SOL_SOCKET, name, value);
    return value[0];
  };
  try {
    return (
      option(libc.SO_DOMAIN) === libc.AF_UNIX &&
      option(libc.SO_TYPE) === libc.SOCK_STREAM &&
      option(libc.SO_ACCEPTCONN) === 1
    );
  } catch {
    return false; // Not a socket at all.
  }
}

/** Tells the service manager how things are, as in `READY=1`. Without one it does nothing. */
export function notify(env: NodeJS.ProcessEnv, state: string): void {
  // A leading @ stands for the NUL of an abstract name.
  const path = env['NOTIFY_SOCKET']?.replace(/^@/, '\0');
  if (path === undefined) return;
  const fd = libc.socket(libc.AF_UNIX, libc.SOCK_DGRAM | libc.SOCK_CLOEXEC, 0);
  try {
    libc.sendTo(fd, Buffer.from(state), libc.unixAddress(path));
  } finally {
    libc.close(fd);
  }
}
