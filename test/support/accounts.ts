/*
 * Users and groups of the system, made for one test.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { SpawnOptions } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { Program } from './program.ts';

/** A user that there is until the test is over. */
export interface TestUser {
  readonly name: string;
  readonly uid: number;
}

/** Makes a group, gone after the test. */
export function makeGroup(): string {
  const name = uniqueName();
  execFileSync('groupadd', ['--system', name]);
  onTestFinished(() => void execFileSync('groupdel', [name]));
  return name;
}

/** Makes a user with a group of its own and further ones, gone after the test. */
export function makeUser(...groups: readonly string[]): TestUser {
  const name = uniqueName();
  const supplementary = groups.length === 0 ? [] : ['--groups', groups.join(',')];
  execFileSync('useradd', ['--system', '--user-group', '--no-create-home', ...supplementary, name]);
  onTestFinished(() => void execFileSync('userdel', [name], { stdio: 'ignore' }));
  return { name, uid: Number(execFileSync('id', ['-u', name], { encoding: 'utf8' })) };
}

/** A command as a user runs it, with the groups that it has in the user database. */
export function asUser({ name }: TestUser, command: readonly string[]): [program: string, args: string[]] {
  return ['setpriv', [`--reuid=${name}`, `--regid=${name}`, '--init-groups', ...command]];
}

/** Starts a program as a user. */
export function runAs(user: TestUser, command: readonly string[], options?: SpawnOptions): Program {
  const [program, args] = asUser(user, command);
  return new Program(program, args, options);
}

function uniqueName(): string {
  return `pbt${randomBytes(5).toString('hex')}`;
}
