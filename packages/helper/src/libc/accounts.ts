/*
 * Users and groups, as the system's name services know them: see nsswitch.conf(5).
 */
import { native, readGroup, readPasswd } from './native.ts';

const c = {
  getgrnam: native<unknown>('void *getgrnam(const char *name)'),
  getpwnam: native<unknown>('void *getpwnam(const char *name)'),
  getpwuid: native<unknown>('void *getpwuid(uint32_t uid)'),
};

/** getgrnam(3): the id of a group, or undefined where there is none of that name. */
export function groupId(name: string): number | undefined {
  return readGroup(c.getgrnam(name))?.gid;
}

/** getpwuid(3): the name of a user, or undefined where there is none of that id. */
export function userNameOf(uid: number): string | undefined {
  return readPasswd(c.getpwuid(uid))?.name;
}

/** getpwnam(3): whether there is a user of that name. */
export function userExists(name: string): boolean {
  // C would see the name before the NUL, which may well be a user's.
  if (name.includes('\0')) return false;
  return readPasswd(c.getpwnam(name)) !== undefined;
}
