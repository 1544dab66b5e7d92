/*
 * Users and groups, as the system's name services know them: see nsswitch.conf(5).
 */
import { native, readGroup, readPasswd } from './native.ts';

const c = {
  getgrnam: native<unknown>('void *getgrnam(const char *name)'),
  getgrgid: native<unknown>('void *getgrgid(uint32_t gid)'),
  getgrouplist: native<number>(
    'int getgrouplist(const char *user, uint32_t group, void *groups, void *count)',
  ),
  getpwnam: native<unknown>('void *getpwnam(const char *name)'),
  getpwuid: native<unknown>('void *getpwuid(uint32_t uid)'),
};

/** The kernel gives a process no more groups than that: NGROUPS_MAX. */
const mostGroups = 65_536;

/** getgrnam(3): the id of a group, or undefined where there is none of that name. */
export function groupId(name: string): number | undefined {
  return isWhole(name) ? readGroup(c.getgrnam(name))?.gid : undefined;
}

/** getgrgid(3): the name of a group, or undefined where there is none of that id. */
export function groupNameOf(gid: number): string | undefined {
  return readGroup(c.getgrgid(gid))?.name;
}

/** getpwnam(3): the id of a user, or undefined where there is none of that name. */
export function userId(name: string): number | undefined {
  return isWhole(name) ? readPasswd(c.getpwnam(name))?.uid : undefined;
}

/** getpwuid(3): the name of a user, or undefined where there is none of that id. */
export function userNameOf(uid: number): string | undefined {
  return readPasswd(c.getpwuid(uid))?.name;
}

/** Whether there is a user of that name. */
export function userExists(name: string): boolean {
  return userId(name) !== undefined;
}

/**
 * getgrouplist(3): the ids of the groups that a user would have after logging in now, the first of them its own;
 * none where there is no user of that name.
 */
export function groupsOf(name: string): number[] {
  const user = isWhole(name) ? readPasswd(c.getpwnam(name)) : undefined;
  if (user === undefined) return [];
  for (let room = 64; ; room *= 4) {
    const groups = new Uint32Array(room);
    const count = new Int32Array([room]);
    const fits = c.getgrouplist(name, user.gid, groups, count) >= 0;
    if (fits || room >= mostGroups) return [...groups.subarray(0, Math.min(count[0] as number, room))];
  }
}

/** C would see the name before a NUL, which may well be somebody's. */
function isWhole(name: string): boolean {
  return !name.includes('\0');
}
