/*
 * Who is at the other end of a connection, by the word of the kernel: nothing that a peer says itself counts.
 *
 * The kernel notes user and groups when the peer connects, see SO_PEERCRED in unix(7). Whom it becomes later,
 * and to whom it hands the connection, makes no difference; nor do groups that it gets by logging in again.
 */
import * as libc from '../libc.ts';

/** The process that has connected, as it was then. */
export interface Peer {
  /** The process; 0 where it is in a pid namespace that is none of ours. */
  readonly pid: number;
  /** Its effective user. */
  readonly uid: number;
  /** Its effective group. */
  readonly gid: number;
  /** All its groups, {@link gid} among them: ascending, each once. */
  readonly groups: readonly number[];
}

/** struct ucred */
const credentials = new Uint32Array(3);
/** As many groups as most have; it grows when somebody has more. */
let groupIds = new Uint32Array(64);

/** Asks the kernel who is at the other end of a connected Unix socket. */
export function peerOf(fd: number): Peer {
  libc.getSocketOption(fd, libc.SOL_SOCKET, libc.SO_PEERCRED, credentials);
  const [pid = 0, uid = 0, gid = 0] = credentials;
  const groups = [...new Set([gid, ...supplementaryGroups(fd)])];
  return { pid, uid, gid, groups: groups.toSorted((a, b) => a - b) };
}

function supplementaryGroups(fd: number): Uint32Array {
  try {
    for (;;) {
      const bytes = libc.getSocketOption(fd, libc.SOL_SOCKET, libc.SO_PEERGROUPS, groupIds);
      if (bytes <= groupIds.byteLength) return groupIds.subarray(0, bytes / groupIds.BYTES_PER_ELEMENT);
      groupIds = new Uint32Array(bytes / groupIds.BYTES_PER_ELEMENT);
    }
  } catch (error) {
    // Linux before 4.13 does not tell them.
    if (error instanceof libc.SystemError && error.code === 'ENOPROTOOPT') return new Uint32Array(0);
    throw error;
  }
}
