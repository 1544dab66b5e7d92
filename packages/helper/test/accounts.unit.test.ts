/*
 * Users and groups, against the real /etc/passwd and /etc/group.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { groupId, groupNameOf, groupsOf, userExists, userId, userNameOf } from '../src/libc.ts';

/** The lines of a file such as /etc/passwd, as fields. */
function entries(file: string): string[][] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => /^[^#+-]/.test(line)).map((line) => line.split(':'));
}

const users = entries('/etc/passwd').map(([name = '', , uid, gid]) => ({
  name,
  uid: Number(uid),
  gid: Number(gid),
}));

const groups = entries('/etc/group').map(([name = '', , gid, members = '']) => ({
  name,
  gid: Number(gid),
  members: members.split(',').filter(Boolean),
}));

/** Ids that high are of nobody. */
const nobody = 4_100_000_000;

describe('users', () => {
  test('are known by name and by id', () => {
    expect(users.length).toBeGreaterThan(0);
    for (const { name, uid } of users) {
      expect(userId(name)).toBe(uid);
      expect(userExists(name)).toBe(true);
      // Two names may share an id.
      expect(users.filter((user) => user.uid === uid).map((user) => user.name)).toContain(userNameOf(uid));
    }
  });

  test('that there are not are not known', () => {
    expect(userNameOf(nobody)).toBeUndefined();
    for (const name of ['', 'nobody at all', 'root\0', 'root\0x', 'root\n']) {
      expect(userId(name)).toBeUndefined();
      expect(groupsOf(name)).toEqual([]);
    }
  });

  test('are in their own group and in those that name them', () => {
    for (const { name, gid } of users) {
      const [first, ...others] = groupsOf(name);
      expect(first).toBe(gid);
      const named = groups.filter(({ members }) => members.includes(name)).map((group) => group.gid);
      expect([first, ...others]).toEqual(expect.arrayContaining(named));
      expect(new Set([first, ...others]).size).toBe(others.length + 1);
    }
  });
});

describe('groups', () => {
  test('are known by name and by id', () => {
    expect(groups.length).toBeGreaterThan(0);
    for (const { name, gid } of groups) {
      expect(groupId(name)).toBe(gid);
      expect(groups.filter((group) => group.gid === gid).map((group) => group.name)).toContain(
        groupNameOf(gid),
      );
    }
  });

  test('that there are not are not known', () => {
    expect(groupNameOf(nobody)).toBeUndefined();
    for (const name of ['', 'no such group', 'root\0', 'root\0x']) expect(groupId(name)).toBeUndefined();
  });
});
