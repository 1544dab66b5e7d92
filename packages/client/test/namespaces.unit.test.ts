import { describe, expect, test } from 'vitest';
import {
  foreignKinds,
  judgeNamespaces,
  namespaceList,
  outerUid,
  type NamespaceSigns,
} from '../src/namespaces.ts';

/** What a process of the machine itself sees. */
const machine: NamespaceSigns = {
  user: 'user:[4026531837]',
  pid: 'pid:[4026531836]',
  connectorFile: true,
  machineSysctl: true,
};

describe('the namespaces', () => {
  test('of the machine are the initial ones', () => {
    expect(judgeNamespaces(machine)).toEqual({ user: true, pid: true, network: true });
    expect(foreignKinds(judgeNamespaces(machine))).toEqual([]);
  });

  test.each<[string, Partial<NamespaceSigns>, string[]]>([
    ['a user namespace', { user: 'user:[4026532178]' }, ['user']],
    ['a pid namespace', { pid: 'pid:[4026532180]' }, ['pid']],
    ['a network namespace', { connectorFile: false, machineSysctl: false }, ['network']],
    [
      'a container',
      { user: 'user:[1]', pid: 'pid:[2]', connectorFile: false, machineSysctl: false },
      ['user', 'pid', 'network'],
    ],
  ])('of %s are others', (_, signs, kinds) => {
    expect(foreignKinds(judgeNamespaces({ ...machine, ...signs }))).toEqual(kinds);
  });

  test('of a kernel without a connector are not mistaken for others', () => {
    expect(judgeNamespaces({ ...machine, connectorFile: false }).network).toBe(true);
  });

  test('are not known where /proc does not show them, and then count as none', () => {
    const hidden = { user: undefined, pid: undefined, connectorFile: false, machineSysctl: undefined };
    expect(judgeNamespaces(hidden)).toEqual({ user: undefined, pid: undefined, network: undefined });
    expect(foreignKinds(judgeNamespaces(hidden))).toEqual([]);
  });

  test('are listed in words', () => {
    expect(namespaceList(['user'])).toBe('user namespace');
    expect(namespaceList(['user', 'pid'])).toBe('user and pid namespace');
    expect(namespaceList(['user', 'pid', 'network'])).toBe('user, pid and network namespace');
  });
});

describe('the id of a user outside', () => {
  test.each([
    [0, '         0          0 4294967295\n', 0],
    [1000, '         0          0 4294967295\n', 1000],
    [0, '         0       1001          1\n', 1001],
    [1, '         0       1001          1\n', undefined],
    [70_000, '0 1000 1\n1 100000 65536\n70000 5000 10\n', 5000],
    [5, '0 1000 1\n1 100000 65536\n', 100_004],
    [65_534, '', undefined],
  ])('of %d by the map %j is %s', (uid, map, outside) => {
    expect(outerUid(uid, map)).toBe(outside);
  });
});
