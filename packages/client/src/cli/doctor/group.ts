/*
 * The group of the socket: whether the user is in it, and this session too.
 */
import { shellWord } from '../command-line.ts';
import type { Account } from './accounts.ts';
import type { Check } from './check.ts';
import type { SocketFacts } from './socket.ts';

/** Bits of a mode that let the owner, the group and everybody connect. */
const [ownerMay, groupMay, everybodyMay] = [0o200, 0o020, 0o002];

/**
 * Whether the user may connect by the permissions of the socket.
 *
 * @param socket - undefined where there is none to look at
 * @param isMapped - whether ids are those of the machine: not in another user namespace
 * @param connected - whether somebody has let us connect
 */
export function checkGroup(
  account: Account,
  socket: SocketFacts | undefined,
  isMapped: boolean,
  connected: boolean,
): Check {
  const name = 'group';
  const skip = (what: string): Check => ({ name, status: 'skip', what });
  const ok = (what: string): Check => ({ name, status: 'ok', what });
  if (socket?.isSocket !== true) return skip('there is no socket to be let in to');
  if (!isMapped) return skip('users and groups of this user namespace say nothing of those outside');
  const { uid, database, session } = account;
  const user = account.name ?? `uid ${uid}`;
  const group = socket.group ?? `gid ${socket.gid}`;
  if (uid === 0) return ok('root needs none');
  if (uid === socket.uid && (socket.mode & ownerMay) !== 0) return ok(`${user} owns the socket`);
  if (socket.uid !== uid && (socket.mode & everybodyMay) !== 0) {
    return ok('needs none: the socket is open to everybody');
  }
  const joined = database?.includes(socket.gid);
  if (session.includes(socket.gid) && (socket.mode & groupMay) !== 0) {
    if (joined !== false) return ok(`${user} is in ${group}, and so is this session`);
    return {
      name,
      status: 'warn',
      what: `this session is in ${group}, but the user database no longer has ${user} in it`,
      remedy: `From the next login on it needs: ${howToJoin(group, user)}`,
    };
  }
  if (connected) return ok(`${user} is not in ${group}, and is let in nonetheless`);
  const fail = (what: string, remedy: string): Check => ({ name, status: 'fail', what, remedy });
  if ((socket.mode & groupMay) === 0 || socket.gid === 0 || socket.group === undefined) {
    return fail(
      `the socket is for no group that ${user} could join (${group})`,
      'Give it one: SocketGroup=procbus in procbus.socket, or procbusd --group procbus.',
    );
  }
  if (joined === true) {
    return fail(
      `${user} is in ${group}, but was not yet when this session began`,
      `Log in again, or run: newgrp ${shellWord(group)}`,
    );
  }
  return fail(`${user} is not in ${group}`, `Join it with: ${howToJoin(group, user)}; then log in again`);
}

function howToJoin(group: string, user: string): string {
  return `sudo usermod -aG ${shellWord(group)} ${shellWord(user)}`;
}
