/*
 * The user and its groups: as this process has them, and as the user database has them by now.
 */
import { userInfo } from 'node:os';
import { output } from './program.ts';

/** Who runs this. */
export interface Account {
  /** The effective one, which is what sockets look at. */
  readonly uid: number;
  /** Not every uid has one. */
  readonly name: string | undefined;
  /** Groups of this process. */
  readonly session: readonly number[];
  /** Groups that a login would have now; undefined where that cannot be told. */
  readonly database: readonly number[] | undefined;
}

/** Who runs this process. */
export async function readAccount(signal: AbortSignal): Promise<Account> {
  const uid = process.geteuid?.() ?? -1;
  const session = new Set([...(process.getgroups?.() ?? []), process.getegid?.() ?? -1]);
  const name = nameOfThisUser();
  // id(1) asks whatever /etc/nsswitch.conf names, as a login does.
  const groups = name === undefined ? undefined : await output('id', ['-G', '--', name], signal);
  return {
    uid,
    name,
    session: [...session],
    database: groups?.trim().split(/\s+/).map(Number),
  };
}

/** The name in an entry of getent(1), such as `procbus:x:999:anna`. */
export async function nameOf(
  database: 'passwd' | 'group',
  id: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const [name = ''] = (await output('getent', [database, String(id)], signal))?.split(':') ?? [];
  return name === '' ? undefined : name;
}

function nameOfThisUser(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}
