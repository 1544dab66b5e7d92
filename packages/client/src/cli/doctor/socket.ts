/*
 * The socket: whether it is there, and who may connect.
 */
import { statSync, type Stats } from 'node:fs';
import type { ProcbusError } from '@procbus/protocol';
import { nameOf } from './accounts.ts';
import type { Check } from './check.ts';

/** Where the path of the socket is from. */
export type Source = '--socket' | '$PROCBUS_SOCKET' | 'default';

/** What lies at a path. */
export interface SocketFacts {
  readonly isSocket: boolean;
  readonly uid: number;
  readonly gid: number;
  /** Their names, where they have one. */
  readonly owner: string | undefined;
  readonly group: string | undefined;
  /** Permission bits. */
  readonly mode: number;
}

/** What lies there; `missing` for nothing, `hidden` where we may not look. */
export type Found = SocketFacts | 'missing' | 'hidden';

/** Looks at a path. */
export async function readSocket(path: string, signal: AbortSignal): Promise<Found> {
  const stats = statOf(path);
  if (typeof stats === 'string') return stats;
  const { uid, gid, mode } = stats;
  const [owner, group] = await Promise.all([nameOf('passwd', uid, signal), nameOf('group', gid, signal)]);
  return { isSocket: stats.isSocket(), uid, gid, owner, group, mode: mode & 0o7777 };
}

function statOf(path: string): Stats | 'missing' | 'hidden' {
  try {
    return statSync(path);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? 'hidden' : 'missing';
  }
}

/**
 * Whether there is a socket.
 *
 * @param error - why nobody answers there, whose remedy is the one; undefined where somebody does
 */
export function checkSocket(
  path: string,
  source: Source,
  found: Found,
  error: ProcbusError | undefined,
): Check {
  const name = 'socket';
  const where = source === 'default' ? path : `${path} (by ${source})`;
  const remedy = error?.remedy === undefined ? {} : { remedy: error.remedy };
  if (found === 'missing') {
    // Where nobody has asked for this one, each command starts a helper of its own.
    const status = source === '--socket' ? 'fail' : 'warn';
    return { name, status, what: `there is none at ${where}`, ...remedy };
  }
  if (found === 'hidden') {
    return {
      name,
      status: 'fail',
      what: `${where} lies behind a directory that is closed to you`,
      ...remedy,
    };
  }
  const { owner = found.uid, group = found.gid } = found;
  const rights = `${owner}:${group} ${found.mode.toString(8).padStart(4, '0')}`;
  if (!found.isSocket) {
    return { name, status: 'fail', what: `${where} is not a socket (${rights})`, ...remedy };
  }
  return { name, status: 'ok', what: `${where}, ${rights}` };
}
