/*
 * procbus doctor with real helpers, users and groups.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { asUser, makeGroup, makeUser, type TestUser } from './support/accounts.ts';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { doctor, examined, type Examined } from './support/doctor.ts';
import { procbus, startHelper, temporaryDirectory } from './support/procbus.ts';
import { run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';
import { restrictions, startRestrictedHelper } from './support/restricted-helper.ts';
import { onTerminal } from './support/terminal.ts';
import { anybodyMayListen } from './support/unprivileged.ts';

/** What a user finds with the groups of the user database, or with others. */
async function foundBy(user: TestUser, command: readonly string[], groups?: string): Promise<Examined> {
  if (groups === undefined) {
    const [program, args] = asUser(user, command);
    return examined([program, ...args]);
  }
  return examined(['setpriv', `--reuid=${user.name}`, `--regid=${user.name}`, groups, ...command]);
}

const gidOf = (group: string): string =>
  execFileSync('getent', ['group', group], { encoding: 'utf8' }).split(':')[2] as string;

const needs = ['gcc', 'setpriv', 'unshare', 'useradd', 'getent', 'id', 'script'].map(needsProgram);

kernelSuite('procbus doctor', needs, () => {
  test('finds all well as root', async () => {
    const { socket } = await startHelper();
    const found = await examined(doctor('--socket', socket));
    expect(found.stderr).toBe('');
    expect(found.named('fail')).toEqual([]);
    expect(found.exitStatus).toBe(0);
    const [kernel, namespaces] = [found.of('kernel'), found.of('namespaces')];
    expect(kernel).toMatchObject({ status: 'ok' });
    expect(namespaces).toMatchObject({ status: 'ok', what: "the machine's own" });
    expect(found.of('group')).toMatchObject({ status: 'ok', what: 'root needs none' });
    expect(found.of('privileges')).toMatchObject({ status: 'ok' });
    expect(found.of('kernel-queue')).toMatchObject({ status: 'ok' });
    expect(found.of('receive-buffer')).toMatchObject({
      status: 'ok',
      what: '128 MiB, room for about 160,000 events',
    });
  });

  describe('as a user', () => {
    test('in the group of the socket, finds all well', async () => {
      const group = makeGroup();
      const member = makeUser(group);
      const { socket } = await startHelper('--group', group);
      const found = await foundBy(member, doctor('--socket', socket));
      expect(found.named('fail')).toEqual([]);
      expect(found.exitStatus).toBe(0);
      expect(found.of('socket')?.what).toContain(`, root:${group} 0660`);
      expect(found.of('group')).toMatchObject({
        status: 'ok',
        what: `${member.name} is in ${group}, and so is this session`,
      });
      expect(found.of('grant')).toMatchObject({ status: 'ok' });
      expect(found.of('privileges')).toMatchObject({ status: 'ok' });
    });

    test('not in it, is told how to join', async () => {
      const group = makeGroup();
      const stranger = makeUser();
      const { socket } = await startHelper('--group', group);
      const found = await foundBy(stranger, doctor('--socket', socket));
      expect(found.exitStatus).toBe(1);
      expect(found.named('fail')).toEqual(['group', 'connection']);
      expect(found.of('group')).toEqual({
        name: 'group',
        status: 'fail',
        what: `${stranger.name} is not in ${group}`,
        remedy: `Join it with: sudo usermod -aG ${group} ${stranger.name}; then log in again`,
      });
      // What it says is what helps.
      execFileSync('usermod', ['-aG', group, stranger.name]);
      expect((await foundBy(stranger, doctor('--socket', socket))).exitStatus).toBe(0);
    });

    test('whose session is older than the membership, is told to log in again', async () => {
      const group = makeGroup();
      const joined = makeUser(group);
      const { socket } = await startHelper('--group', group);
      const found = await foundBy(joined, doctor('--socket', socket), '--clear-groups');
      expect(found.exitStatus).toBe(1);
      expect(found.of('group')).toMatchObject({
        status: 'fail',
        what: `${joined.name} is in ${group}, but was not yet when this session began`,
        remedy: `Log in again, or run: newgrp ${group}`,
      });
    });

    test('whose session is older than the end of the membership, is warned', async () => {
      const group = makeGroup();
      const left = makeUser();
      const { socket } = await startHelper('--group', group);
      const found = await foundBy(left, doctor('--socket', socket), `--groups=${gidOf(group)}`);
      expect(found.exitStatus).toBe(0);
      expect(found.of('group')).toMatchObject({ status: 'warn' });
    });

    test('whom no grant is for, is told by the helper what would help', async () => {
      const group = makeGroup();
      const stranger = makeUser();
      const config = join(temporaryDirectory(), 'procbusd.toml');
      writeFileSync(config, `[socket]\nmode = "0666"\n[[grant]]\ngroup = "${group}"\n`);
      const { socket } = await startHelper('--config', config);
      const found = await foundBy(stranger, doctor('--socket', socket));
      expect(found.exitStatus).toBe(1);
      expect(found.named('fail')).toEqual(['connection']);
      expect(found.of('connection')?.remedy).toContain(`sudo usermod -aG ${group} ${stranger.name}`);
    });

    test('who is granted their own alone, sees no figures, and that is no fault', async () => {
      const user = makeUser();
      const config = join(temporaryDirectory(), 'procbusd.toml');
      writeFileSync(
        config,
        '[socket]\nmode = "0666"\n[[grant]]\neveryone = true\nscope = "own"\nevents = ["exec"]\n',
      );
      const { socket } = await startHelper('--config', config);
      const found = await foundBy(user, doctor('--socket', socket));
      expect(found.exitStatus).toBe(0);
      expect(found.of('grant')?.what).toBe('your own processes, names, programs and arguments; exec');
      expect(found.of('privileges')).toMatchObject({ status: 'skip' });
    });

    test('before whom a directory is closed, is told which', async () => {
      const { socket } = await startHelper();
      chmodSync(dirname(socket), 0o700);
      const found = await foundBy(makeUser(), doctor('--socket', socket));
      expect(found.exitStatus).toBe(1);
      expect(found.named('fail')).toEqual(['socket', 'connection']);
      expect(found.of('connection')).toMatchObject({
        what: expect.stringContaining(`the directory ${dirname(socket)} is closed to you`) as unknown,
        remedy: `Ask an administrator to open it: chmod a+x ${dirname(socket)}`,
      });
    });
  });

  describe('where nobody listens', () => {
    const env = { ...process.env, PROCBUS_SOCKET: '/nonexistent/procbus.sock' };

    test('proves that a private helper hears the kernel', async () => {
      const found = await examined(doctor(), env);
      expect(found.exitStatus).toBe(0);
      expect(found.of('private-helper')).toMatchObject({ status: 'ok' });
      expect(found.of('kernel')).toMatchObject({ status: 'ok' });
      expect(found.of('socket')).toMatchObject({
        status: 'warn',
        remedy: 'Start one with: procbusd --socket /nonexistent/procbus.sock',
      });
      expect(found.stderr).toBe('');
    });

    test('tells a user whether one can run', async () => {
      const [program, args] = asUser(makeUser(), doctor());
      const found = await examined([program, ...args], env);
      if (anybodyMayListen()) {
        expect(found.of('private-helper')).toMatchObject({ status: 'ok' });
        expect(found.exitStatus).toBe(0);
      } else {
        expect(found.of('private-helper')?.what).toContain('lets only a privileged program subscribe');
        expect(found.of('private-helper')?.remedy).toContain('CAP_NET_ADMIN');
        expect(found.exitStatus).toBe(1);
      }
    });

    test('finds the socket that a killed helper has left', async () => {
      const { program, socket } = await startHelper();
      await program.stop('SIGKILL');
      const found = await examined(doctor('--socket', socket));
      expect(found.exitStatus).toBe(1);
      expect(found.named('fail')).toEqual(['connection']);
      expect(found.of('connection')?.what).toContain('a helper that ended has left it there');
      expect(found.of('private-helper')).toMatchObject({ status: 'ok' });
    });
  });

  describe('at a helper that could do better', () => {
    test('tells of what its small queue has lost', async () => {
      const { socket } = await startHelper('--receive-buffer', '4096');
      let found = await examined(doctor('--socket', socket));
      expect(found.of('receive-buffer')).toMatchObject({ status: 'warn' });
      await until('a loss', async () => {
        await run(actor(), ['fork-storm', '2000']);
        found = await examined(doctor('--socket', socket));
        return found.of('kernel-queue')?.status === 'warn';
      });
      expect(found.of('kernel-queue')).toMatchObject({
        what: expect.stringMatching(/^[\d,]+ events did not fit the kernel's queue of 8\.0 KiB: /) as unknown,
        remedy: expect.stringContaining('receive-buffer in [kernel]') as unknown,
      });
      expect(found.exitStatus).toBe(0);
    });

    test.each(Object.entries(restrictions))(
      'tells that it lacks CAP_SYS_PTRACE: %s',
      async (_, privileges) => {
        const { socket } = await startRestrictedHelper({ privileges });
        const found = await examined(doctor('--socket', socket));
        expect(found.of('privileges')).toMatchObject({
          status: 'warn',
          what: expect.stringContaining('the helper lacks CAP_SYS_PTRACE: ') as unknown,
        });
        expect(found.of('receive-buffer')).toMatchObject({ status: 'ok' });
      },
    );

    test.runIf(anybodyMayListen())('tells that the kernel has made its queue smaller', async () => {
      const { socket } = await startRestrictedHelper({ privileges: ['--bounding-set=-net_admin'] });
      const found = await examined(doctor('--socket', socket));
      expect(found.of('privileges')?.what).toContain('the helper lacks CAP_NET_ADMIN: ');
      expect(found.of('receive-buffer')).toMatchObject({
        status: 'warn',
        what: expect.stringContaining('no more than net.core.rmem_max') as unknown,
      });
    });

    test('tells that /proc hides processes from it', async () => {
      const { socket } = await startRestrictedHelper({
        privileges: restrictions['as root without CAP_SYS_PTRACE'],
      });
      const script = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"';
      const hiding = ['unshare', '--mount', '--propagation', 'private', '/bin/sh', '-c', script, 'sh'];
      const found = await examined([...hiding, ...doctor('--socket', socket)]);
      expect(found.of('proc')).toMatchObject({
        status: 'warn',
        what: expect.stringMatching(/hidepid=(invisible|2)/) as unknown,
      });
    });
  });

  test('is coloured on a terminal, and wrapped to its width', async () => {
    const { socket } = await startHelper();
    const terminal = onTerminal(60, 20, process.execPath, procbus, 'doctor', '--socket', socket);
    expect(await terminal.ended).toBe(0);
    expect(terminal.stdout).toContain('\u001b[32mok');
    // A path is not broken.
    const lines = stripVTControlCharacters(terminal.stdout).split(/\r?\n/);
    expect(lines.length).toBeGreaterThan(20);
    for (const line of lines) if (!line.includes(socket)) expect(line.length).toBeLessThanOrEqual(60);
  });
});
