/*
 * A private helper: for root, for anybody where the kernel allows it, and with the reason where not.
 */
import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { connect, ProcbusError, startEmbedded } from '@procbus/client';
import { expect, test } from 'vitest';
import { until } from './support/condition.ts';
import { procbus, startHelper } from './support/procbus.ts';
import { Program, run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

/** No helper is to be found there. */
const env = { ...process.env, PROCBUS_SOCKET: '/nonexistent/procbus.sock' };
const nobody = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups'];

/** Whether this kernel lets anybody subscribe, as Linux 6.6 and later do. */
async function unprivilegedAllowed(): Promise<boolean> {
  const probe = 'import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 11).bind((0, 1))';
  const [program = '', ...args] = [...nobody, 'python3', '-c', probe];
  // The system's Python: another one may lie where nobody can reach it.
  return (await (await run(program, args, { env: { PATH: '/usr/bin:/bin' } })).ended) === 0;
}

/** The private helpers of a process. */
function helpersOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === String(parent);
      } catch {
        return false;
      }
    });
}

kernelSuite(
  'a private helper',
  [needsProgram('setpriv'), needsProgram('unshare'), needsProgram('/usr/bin/python3')],
  () => {
    test('serves root where there is no socket, and says so', async () => {
      const watch = new Program(process.execPath, [procbus, 'watch', '--json'], { env });
      await watch.says(
        'watching (all events; a private helper, for there is none at /nonexistent/procbus.sock)',
      );
      const { pid } = await run('/bin/true', []);
      await until('an event', () => watch.stdout.includes(`"pid":${pid},`));
      expect(await watch.stop('SIGINT')).toBe(130);
    });

    test('serves anybody where the kernel allows it, and says what it needs where not', async () => {
      const [program = '', ...args] = [...nobody, process.execPath, procbus, 'watch', '--json'];
      const watch = new Program(program, args, { env });
      if (await unprivilegedAllowed()) {
        await watch.says('watching');
        const { pid } = await run('/bin/true', []);
        await until('an event', () => watch.stdout.includes(`"pid":${pid},`));
      } else {
        expect(await watch.ended).toBe(77);
        expect(watch.stderr).toContain('CAP_NET_ADMIN');
      }
    });

    test('ends with its client, also when that is killed', async () => {
      const watch = new Program(process.execPath, [procbus, 'watch'], { env });
      await watch.says('watching');
      const [helper = 0] = helpersOf(watch.pid);
      expect(helper).toBeGreaterThan(0);
      await watch.stop('SIGKILL');
      await until('the end of the helper', () => !existsSync(`/proc/${helper}`));
    });

    test('is there until its library user closes the connection', async () => {
      const bus = await startEmbedded();
      const helper = helpersOf(process.pid).find((pid) =>
        readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--connection'),
      );
      await bus.ping();
      await bus.close();
      expect(existsSync(`/proc/${helper}`)).toBe(false);
    });

    test.each([
      ['user', ['--user', '--map-root-user']],
      ['pid', ['--pid', '--fork', '--mount-proc']],
      ['network', ['--net']],
    ])('names the %s namespace where the kernel tells nothing', async (kind, flags) => {
      const sandbox = await run('unshare', [...flags, process.execPath, procbus, 'watch', '--count', '1'], {
        env,
      });
      expect(await sandbox.ended).toBe(69);
      expect(sandbox.stderr).toContain(`another ${kind} namespace`);
      expect(sandbox.stderr).toContain('Run procbusd on the host');
    });

    test('is not started where a socket exists and refuses us; the message says what would help', async () => {
      const { socket } = await startHelper('--group', 'nogroup');
      const stranger = ['setpriv', '--reuid=daemon', '--regid=daemon', '--clear-groups', process.execPath];
      const [program = '', ...args] = [...stranger, procbus, 'watch', '--count', '1'];
      const refused = await run(program, args, { env: { ...process.env, PROCBUS_SOCKET: socket } });
      expect(await refused.ended).toBe(77);
      expect(refused.stderr).toContain('is for group nogroup, and you (daemon) are not in it');
      expect(refused.stderr).toContain('usermod -aG nogroup daemon');

      const [member = '', ...rest] = [
        'setpriv',
        '--reuid=daemon',
        '--regid=daemon',
        '--groups=nogroup',
        process.execPath,
      ];
      const allowed = new Program(member, [...rest, procbus, 'watch', '--socket', socket]);
      await allowed.says('watching');
    });

    test('a socket behind a directory that is closed to us, and a user without a name, get a clear answer', async () => {
      const { socket } = await startHelper();
      chmodSync(dirname(socket), 0o700);
      const [program = '', ...args] = [
        'setpriv',
        '--reuid=64321',
        '--regid=64321',
        '--clear-groups',
        process.execPath,
      ];
      const refused = await run(program, [...args, procbus, 'watch', '--socket', socket]);
      expect(await refused.ended).toBe(77);
      expect(refused.stderr).toContain('you (uid 64321) may not connect');
    });

    test('connecting where there is nothing, or nobody any more, says how to start a helper', async () => {
      await expect(connect({ socket: '/nonexistent.sock' })).rejects.toMatchObject({
        code: 'no-helper',
        remedy: 'Start one with: procbusd --socket /nonexistent.sock',
      });
      const { program, socket } = await startHelper();
      await program.stop('SIGKILL');
      await expect(connect({ socket })).rejects.toMatchObject({ code: 'no-helper' });
      await expect(connect({ socket: '/etc/passwd' })).rejects.toBeInstanceOf(ProcbusError);
    });
  },
);
