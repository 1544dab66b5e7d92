/*
 * Where procbus cannot work, or not as usual: in namespaces, and as nobody. Each tool says why, and what would help.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { asUser, makeGroup, makeUser } from './support/accounts.ts';
import { until } from './support/condition.ts';
import { doctor, examined } from './support/doctor.ts';
import { procbus, procbusd, startHelper, temporaryDirectory } from './support/procbus.ts';
import { Program, run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';
import { anybodyMayListen } from './support/unprivileged.ts';

/** The ways into a sandbox, and the namespaces of it, as they are named: by procbusd the first, by procbus all. */
const sandboxes = [
  {
    flags: ['--user', '--map-root-user', '--pid', '--fork', '--mount-proc'],
    first: 'user',
    all: 'user and pid',
  },
  { flags: ['--user', '--pid', '--fork'], first: 'user', all: 'user and pid' },
  { flags: ['--pid', '--fork', '--mount-proc'], first: 'pid', all: 'pid' },
  { flags: ['--net'], first: 'network', all: 'network' },
] as const;

/** No helper is to be found there. */
const nowhere = '/nonexistent/procbus.sock';
const env = { ...process.env, PROCBUS_SOCKET: nowhere };

/** Runs a tool in a sandbox. */
async function inSandbox(flags: readonly string[], ...command: string[]): Promise<Program> {
  return run('unshare', [...flags, process.execPath, ...command], { env });
}

const nobody = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups', process.execPath] as const;

async function asNobody(...command: string[]): Promise<Program> {
  const [program, ...args] = nobody;
  return run(program, [...args, ...command], { env });
}

/** What a tool says that has failed: each line of its own begins with its name. */
const saying = (tool: string, ...lines: readonly string[]): string =>
  lines.map((line) => `${tool}: ${line}\n`).join('');

/** Whether an ordinary user may make a user namespace; some machines forbid it. */
function needsUserNamespaces(): string | undefined {
  const made = spawnSync('setpriv', [...nobody.slice(1, 4), 'unshare', '--user', '--map-root-user', 'true']);
  return made.status === 0 ? undefined : 'needs user namespaces for everybody';
}

const needs = ['unshare', 'setpriv', 'useradd'].map(needsProgram);

kernelSuite('in a sandbox', needs, () => {
  describe.each(sandboxes)('$flags', ({ flags, first, all }) => {
    const reason = `the kernel tells process events only in its initial namespaces, and this is another ${first} namespace (a container?)`;
    const remedy = 'Run procbusd on the host and mount its socket here, at /run/procbus/procbus.sock';

    test('procbusd', async () => {
      const helper = await inSandbox(flags, procbusd, '--socket', join(temporaryDirectory(), 'procbus.sock'));
      expect(helper.stderr).toBe(saying('procbusd', reason, remedy));
      expect(await helper.ended).toBe(69);
    });

    test.each(['watch', 'ps'])('procbus %s', async (command) => {
      const tool = await inSandbox(flags, procbus, command);
      // Once: its private helper leaves it to the tool to say so.
      expect(tool.stderr).toBe(saying('procbus', reason, remedy));
      expect(tool.stdout).toBe('');
      expect(await tool.ended).toBe(69);
    });

    test('procbus stats', async () => {
      const stats = await inSandbox(flags, procbus, 'stats');
      expect(stats.stderr).toBe(
        saying(
          'procbus',
          `there is no socket at ${nowhere}, and in another ${all} namespace than the machine's (a container?) none can run`,
          `Run procbusd on the host and mount its socket here, at ${nowhere}`,
        ),
      );
      expect(await stats.ended).toBe(69);
    });

    test('procbus doctor', async () => {
      const found = await examined(['unshare', ...flags, ...doctor()], env);
      expect(found.exitStatus).toBe(1);
      expect(found.stderr).toBe('');
      expect(found.named('fail')).toEqual(['namespaces', 'private-helper']);
      const { what, remedy: help } = found.of('namespaces') ?? {};
      expect(what).toMatch(new RegExp(`^another ${all} namespace than the machine's \\(.*\\?\\), in which`));
      expect(help).toBe(`Run procbusd on the host and mount its socket here, at ${nowhere}`);
      expect(found.of('private-helper')?.what).toBe(`none can run here: ${reason}`);
    });

    test('a helper outside serves it', async () => {
      const { socket } = await startHelper();
      const command = [process.execPath, procbus, 'watch', '--json', '--socket', socket];
      // What is forked would outlive unshare itself.
      const watch = new Program('unshare', [...flags, '--kill-child', ...command]);
      await watch.says('watching');
      const { pid } = await run('/bin/true', []);
      await until('an event from outside', () => watch.stdout.includes(`"pid":${pid},`));

      const found = await examined(['unshare', ...flags, ...doctor('--socket', socket)]);
      expect(found.named('fail')).toEqual([]);
      expect(found.exitStatus).toBe(0);
      // Pids are another matter there.
      expect(found.of('namespaces')?.status).toBe(all.includes('pid') ? 'warn' : 'ok');
      expect(found.of('namespaces')?.what).toContain('the helper is outside of it');
    });
  });
});

kernelSuite('in a user namespace of an ordinary user', [...needs, needsUserNamespaces()], () => {
  /** As root in there, which is nothing outside. */
  const unshare = ['unshare', '--user', '--map-root-user'] as const;

  test('who outside is in the group is let in', async () => {
    const group = makeGroup();
    const member = makeUser(group);
    const { socket } = await startHelper('--group', group);
    const [program, args] = asUser(member, [...unshare, ...doctor('--socket', socket)]);
    const found = await examined([program, ...args]);
    expect(found.named('fail')).toEqual([]);
    expect(found.of('grant')).toMatchObject({ status: 'ok' });
    expect(found.of('group')).toMatchObject({ status: 'skip' });
  });

  test('who is not is told that it is the user outside who counts, and not to add root to a group', async () => {
    const stranger = makeUser();
    const { socket } = await startHelper('--group', makeGroup());
    const reason = `you may not connect to ${socket}: in this user namespace you are root, but outside, where it counts, uid ${stranger.uid}`;
    const remedy = 'Have that user join the group of the socket outside, and then start the container anew.';
    for (const command of ['watch', 'ps', 'stats']) {
      const [program, args] = asUser(stranger, [
        ...unshare,
        process.execPath,
        procbus,
        command,
        '--socket',
        socket,
      ]);
      const refused = await run(program, args);
      expect(refused.stderr).toBe(saying('procbus', reason, remedy));
      expect(await refused.ended).toBe(77);
    }
    const [program, args] = asUser(stranger, [...unshare, ...doctor('--socket', socket)]);
    const found = await examined([program, ...args]);
    expect(found.exitStatus).toBe(1);
    expect(found.named('fail')).toEqual(['connection']);
    expect(found.of('connection')).toMatchObject({ what: reason, remedy });
  });
});

kernelSuite('as nobody', needs, () => {
  const notPermitted = 'this kernel lets only a privileged program subscribe to process events';

  /** A directory that anybody may write to. */
  const open = (): string => {
    const directory = temporaryDirectory();
    chmodSync(directory, 0o1777);
    return directory;
  };

  test('procbusd says what it may not: write there, or hear the kernel', async () => {
    const closed = temporaryDirectory();
    const helper = await asNobody(procbusd, '--socket', join(closed, 'procbus.sock'));
    if (anybodyMayListen()) {
      expect(helper.stderr).toContain('cannot use');
      expect(helper.stderr).toContain('Run procbusd as a user who may write there, or choose another path');
      expect(await helper.ended).toBe(73);
    } else {
      expect(helper.stderr).toContain(notPermitted);
      expect(helper.stderr).toContain('Run it as root or with CAP_NET_ADMIN');
      expect(await helper.ended).toBe(77);
    }
  });

  test('procbusd names the directory that is missing', async () => {
    const missing = join(temporaryDirectory(), 'run');
    const helper = await run(process.execPath, [procbusd, '--socket', join(missing, 'procbus.sock')]);
    expect(await helper.ended).toBe(73);
    expect(helper.stderr).toContain(`mkdir -p ${missing}/; or choose another path with --socket.`);
  });

  test.runIf(anybodyMayListen())('procbusd serves where the kernel allows it', async () => {
    const [program, ...args] = nobody;
    const socket = join(open(), 'procbus.sock');
    const helper = new Program(program, [...args, procbusd, '--socket', socket, '--config', '/dev/null']);
    await helper.says('listening');
    const found = await examined(doctor('--socket', socket));
    expect(found.named('fail')).toEqual([]);
    expect(found.of('privileges')?.what).toContain('the helper lacks CAP_NET_ADMIN and CAP_SYS_PTRACE: ');
  });

  test.each([['watch', '--duration', '200ms'], ['ps']])(
    'procbus %s works where the kernel allows it, and else says why not',
    async (...command) => {
      const tool = await asNobody(procbus, ...command);
      if (anybodyMayListen()) {
        expect(await tool.ended).toBe(0);
      } else {
        expect(tool.stderr).toContain(saying('procbus', notPermitted));
        expect(tool.stderr).toContain('have an administrator run procbusd');
        expect(await tool.ended).toBe(77);
      }
    },
  );

  test('procbus stats has no private helper to ask, and says how to start one', async () => {
    const stats = await asNobody(procbus, 'stats');
    expect(stats.stderr).toBe(
      saying('procbus', `there is no socket at ${nowhere}`, `Start one with: procbusd --socket ${nowhere}`),
    );
    expect(await stats.ended).toBe(69);
  });

  test('procbus doctor tells whether it works', async () => {
    const found = await examined([...nobody, ...doctor().slice(1)], env);
    expect(found.exitStatus).toBe(anybodyMayListen() ? 0 : 1);
    expect(found.named('fail')).toEqual(anybodyMayListen() ? [] : ['private-helper']);
    expect(found.of('direct')?.what).toContain(anybodyMayListen() ? 'from Linux 6.6 on' : 'before Linux 6.6');
  });

  test.each(['watch', 'ps', 'stats'])(
    'procbus %s at a helper for others says whom it is for',
    async (command) => {
      const group = makeGroup();
      const { socket } = await startHelper('--group', group);
      const refused = await asNobody(procbus, command, '--socket', socket);
      expect(refused.stderr).toBe(
        saying(
          'procbus',
          `${socket} is for group ${group}, and you (nobody) are not in it`,
          `Join it with: sudo usermod -aG ${group} nobody; then log in again`,
        ),
      );
      expect(await refused.ended).toBe(77);
    },
  );

  test('a directory that is closed is named', async () => {
    const { socket } = await startHelper();
    const directory = join(socket, '..');
    chmodSync(directory, 0o700);
    const refused = await asNobody(procbus, 'stats', '--socket', socket);
    expect(refused.stderr).toContain(`the directory ${directory} is closed to you`);
    expect(await refused.ended).toBe(77);
  });
});
