import { userInfo } from 'node:os';
import { describe, expect, test } from 'vitest';
import { userExists } from '../src/libc.ts';
import { userName } from '../src/processes/users.ts';

/** No user: ids that high are of nobody. */
const nobody = 4_100_000_000;

describe('the name of a user', () => {
  test('is that of the system', () => {
    const { uid, username } = userInfo();
    expect(userName(0)).toBe('root');
    expect(userName(uid)).toBe(username);
    expect(userExists(username)).toBe(true);
  });

  test('is none where the id is nobody’s', () => {
    expect(userName(nobody)).toBeUndefined();
    expect(userName(nobody)).toBeUndefined();
  });

  test('stays right when more users were seen than are remembered', () => {
    for (let uid = nobody; uid < nobody + 10_050; uid++) userName(uid);
    expect(userName(0)).toBe('root');
    expect(userName(nobody)).toBeUndefined();
  });

  test('that does not exist is known not to, also where a user’s name is its beginning', () => {
    for (const name of ['', 'nobody at all', 'root\0', 'root\0x', 'root\n'])
      expect(userExists(name)).toBe(false);
  });
});
