/*
 * procbus as it is installed: from its Debian package, on a real system with systemd, with kernels old and new.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StreamEvent } from '@procbus/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { actor } from '../support/actor.ts';
import { until } from '../support/condition.ts';
import { inRepository } from '../support/program.ts';
import { needsProgram, needsRoot, suite } from '../support/requirements.ts';
import { begin, end, hasEnd, lossesOf, lostIn, missingFrom } from '../support/tally.ts';
import { kernelImage, kernels, pack, systemArchive } from './image.ts';
import { Machine } from './machine.ts';

/** Files of the kernel ring that are run on each kernel: what kernels might do differently. */
const ring = [
  'test/events.kernel.test.ts',
  'test/threads.kernel.test.ts',
  'packages/helper/test/connector.kernel.test.ts',
];

/** What of the repository these need. */
const repository =
  'package.json tsconfig.json tsconfig.base.json tsconfig.test.json vitest.config.ts bench packages test node_modules';
/** Tools that are large, and not run there. */
const leftOut =
  /node_modules\/(?:typescript|@typescript|oxlint|@oxlint|oxlint-tsgolint|@oxlint-tsgolint|prettier|\.cache)(?:\/|$)/;

/** How often the helper is disturbed under load; each time takes a minute in an emulated machine. */
const disturbances = 2;

const work = mkdtempSync(join(tmpdir(), 'procbus-vm-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const agentUnit = `[Service]
ExecStart=/usr/bin/node /vm/agent.mjs
StandardError=journal+console
KillMode=process
`;

/** A root file system with the agent, two versions of the package, and the tests. */
function makeArchive(): string {
  const tree = join(work, 'tree');
  const units = join(tree, 'etc/systemd/system');
  mkdirSync(join(units, 'multi-user.target.wants'), { recursive: true });
  writeFileSync(join(units, 'agent.service'), agentUnit);
  symlinkSync('../agent.service', join(units, 'multi-user.target.wants/agent.service'));
  mkdirSync(join(tree, 'vm'));
  cpSync(inRepository('test/vm/agent.mjs'), join(tree, 'vm/agent.mjs'));
  cpSync(actor(), join(tree, 'vm/actor'));
  for (const version of ['1.0.0', '1.1.0']) {
    const build = [inRepository('packaging/deb.mjs'), '--version', version, '--output', join(tree, 'vm')];
    execFileSync(process.execPath, build, { stdio: 'pipe' });
  }
  for (const path of repository.split(' ')) {
    const filter = (source: string): boolean => !leftOut.test(source);
    cpSync(inRepository(path), join(tree, 'vm/repository', path), {
      recursive: true,
      verbatimSymlinks: true,
      filter,
    });
  }
  const overlay = join(work, 'overlay.cpio');
  pack(tree, overlay);
  rmSync(tree, { recursive: true });
  const archive = join(work, 'archive.cpio');
  execFileSync('sh', ['-ec', 'cat "$1" "$2" > "$3"', 'sh', systemArchive(), overlay, archive]);
  return archive;
}

const needs = [
  needsRoot(),
  ...['qemu-system-x86_64', 'debootstrap', 'cpio', 'apt-get', 'dpkg-deb', 'gcc'].map(needsProgram),
];
if (process.arch !== 'x64') needs.push('an x86-64 machine');

suite('installed from its package', needs, () => {
  let archive = '';
  beforeAll(() => {
    archive = makeArchive();
  });

  describe.each(kernels)('on Linux $version', (kernel) => {
    let machine: Machine;
    beforeAll(async () => {
      machine = await Machine.boot(kernelImage(kernel), archive, join(work, `console-${kernel.suite}`));
      for (const user of ['alice', 'bob', 'carol'])
        await machine.output('root', `useradd --create-home ${user}`);
    });
    afterAll(async () => machine?.halt());

    const status = async (unit: string): Promise<string> =>
      (await machine.run('root', `systemctl is-active procbus.${unit}`)).stdout.trim();
    const mainPid = async (): Promise<number> =>
      Number(await machine.output('root', 'systemctl show --value --property MainPID procbus.service'));
    /** What a watch that writes to a file was told so far. */
    const eventsIn = async (file: string): Promise<StreamEvent[]> =>
      (await machine.output('root', `cat ${file}`))
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as StreamEvent);
    /** Starts a watch that writes to a file, and waits until it watches. */
    const watch = async (user: string, file: string, options = ''): Promise<void> => {
      await machine.output(
        user,
        `procbus watch --json ${options} > ${file} 2> ${file}.log & echo $! > ${file}.pid`,
      );
      await waitFor(`grep -q watching ${file}.log`, async () =>
        machine.output('root', `cat ${file}.log; journalctl --no-pager --lines 20 --unit 'procbus.*'`),
      );
    };
    const stop = async (file: string): Promise<unknown> =>
      machine.run('root', `kill -INT $(cat ${file}.pid)`);
    /** Waits until a command of root succeeds; `explain` says how things are where it does not. */
    const waitFor = async (command: string, explain = async (): Promise<string> => ''): Promise<void> => {
      const succeeds = async (): Promise<boolean> => (await machine.run('root', command)).status === 0;
      await until(command, succeeds, 120_000).catch(async (error: unknown) => {
        throw new Error(`${(error as Error).message}: ${await explain()}`, { cause: error });
      });
    };

    test('is the kernel that is meant', async () => {
      const release = await machine.output('root', 'uname -r');
      expect(release.startsWith(`${kernel.version}.`)).toBe(true);
    });

    test('installs: its socket listens, and the service waits', async () => {
      await machine.output('root', 'dpkg --install /vm/procbus_1.0.0_*.deb');
      expect([await status('socket'), await status('service')]).toEqual(['active', 'inactive']);
      expect(await machine.output('root', 'stat --format "%a %U:%G" /run/procbus/procbus.sock')).toBe(
        '660 root:procbus\n',
      );
      expect(await machine.output('root', 'systemctl is-enabled procbus.socket')).toBe('enabled\n');
      await machine.output('root', 'usermod --append --groups procbus alice');
    });

    test('starts when a member of the group asks, who sees what others run', async () => {
      await watch('alice', '/tmp/first', '--events exec --include exe,args,user');
      expect(await status('service')).toBe('active');
      await machine.output('carol', '/bin/true canary');
      await waitFor(`grep -q '"/bin/true","canary"' /tmp/first`);
      const isCanary = (event: StreamEvent): boolean =>
        event.type === 'exec' && event.process.args?.join(' ') === '/bin/true canary';
      const seen = (await eventsIn('/tmp/first')).find(isCanary);
      expect(seen).toMatchObject({
        type: 'exec',
        process: {
          user: 'carol',
          exe: '/usr/bin/true',
          args: ['/bin/true', 'canary'],
          detail: 'complete',
        },
      });
      await stop('/tmp/first');
    });

    test('runs as its own user, with two capabilities', async () => {
      const state = await machine.output('root', `cat /proc/${await mainPid()}/status`);
      expect(await machine.output('root', `ps -o user= -p ${await mainPid()}`)).toBe('procbus\n');
      expect(/^CapEff:\s*(\w+)/m.exec(state)?.[1]).toBe('0000000000081000');
      expect(
        await machine.output('root', 'systemctl show --value --property StatusText procbus.service'),
      ).toMatch(/^\d+ clients?, \d+ events\/s\n$/);
    });

    test('refuses who is not in the group, and says what to do', async () => {
      const refused = await machine.run('bob', 'procbus watch --count 1');
      expect(refused).toMatchObject({
        status: 77,
        stderr: expect.stringContaining('usermod -aG procbus bob'),
      });
    });

    test(`lets who is not in the group ${kernel.letsAnybodyListen ? '' : 'not '}ask the kernel`, async () => {
      const direct = await machine.run('bob', 'PROCBUS_SOCKET=/tmp/none procbus ps --json');
      if (kernel.letsAnybodyListen) {
        expect(direct).toMatchObject({ status: 0 });
      } else {
        const stderr = expect.stringContaining('lets only a privileged program subscribe') as string;
        expect(direct).toMatchObject({ status: 77, stderr });
      }
    });

    test('doctor finds nothing wrong for the one, and tells the other what to do', async () => {
      const well = await machine.run('alice', 'procbus doctor --json');
      expect({ ...well, verdict: (JSON.parse(well.stdout) as { verdict: string }).verdict }).toMatchObject({
        status: 0,
        verdict: 'ok',
      });
      const ill = await machine.run('bob', 'procbus doctor');
      expect(ill).toMatchObject({ status: 1, stdout: expect.stringContaining('usermod -aG procbus bob') });
    });

    test.each([
      [
        'killed under load, is back, and tells what that has cost',
        'systemctl kill --signal=KILL procbus.service',
        true,
      ],
      ['restarted under load, loses nothing', 'systemctl restart procbus.service', false],
    ])('%s', async (_, disturb, mayLose) => {
      const pids = [await mainPid()];
      await machine.output(
        'root',
        'procbusd --socket /tmp/reference.sock > /tmp/reference.log 2>&1 & echo $! > /tmp/reference.pid',
      );
      await waitFor('grep -q listening /tmp/reference.log');
      await watch('root', '/tmp/all', '--socket /tmp/reference.sock');
      await watch('alice', '/tmp/told');
      await machine.output('root', `/vm/actor name ${begin}`);
      const storm = machine.output('carol', 'i=0; while [ $i -lt 400 ]; do /bin/true $i; i=$((i+1)); done');
      for (let round = 0; round < disturbances; round++) {
        await waitFor('sleep 1');
        await machine.output('root', disturb);
        await until('another process', async () => ![0, ...pids].includes(await mainPid()), 60_000);
        pids.push(await mainPid());
        await waitFor(`test $(grep -c "connected again" /tmp/told.log) -gt ${round}`);
      }
      await storm;
      await machine.output('root', `/vm/actor name ${end}`);
      await waitFor(`grep -q '"${end}"' /tmp/told && grep -q '"${end}"' /tmp/all`);
      const [told, all] = [await eventsIn('/tmp/told'), await eventsIn('/tmp/all')];
      expect(hasEnd(told)).toBe(true);
      const { missing, total } = missingFrom(told, all, pids);
      process.stderr.write(
        `Linux ${kernel.version}, ${disturb} ${disturbances} times: ${missing} of ${total} events lost, ${lostIn(told)} told\n`,
      );
      expect(lostIn(told)).toBe(missing);
      if (!mayLose) expect(lossesOf(told)).toEqual([]);
      for (const file of ['/tmp/told', '/tmp/all', '/tmp/reference']) await stop(file);
    });

    test('upgraded, serves on those who watch', async () => {
      await watch('alice', '/tmp/through', '--events exec --include args');
      await machine.output('root', 'dpkg --install /vm/procbus_1.1.0_*.deb');
      expect(await machine.output('alice', 'procbus --version')).toContain('1.1.0');
      await waitFor('grep -q "connected again" /tmp/through.log');
      await machine.output('carol', '/bin/true upgraded');
      await waitFor('grep -q upgraded /tmp/through');
      expect(lossesOf(await eventsIn('/tmp/through'))).toEqual([]);
      expect(await machine.output('root', 'journalctl --no-pager -u procbus.service')).toContain(
        '1.1.0 listening',
      );
      await stop('/tmp/through');
    });

    test('the tests of the kernel ring pass', async () => {
      const command = `cd /vm/repository && node node_modules/vitest/vitest.mjs run --project kernel ${ring.join(' ')} --reporter=verbose --no-color`;
      const { status: ended, stdout, stderr } = await machine.run('root', command, 900_000);
      if (ended !== 0) throw new Error(stdout + stderr);
      const [, passed, all] = /Tests +(\d+) passed \((\d+)\)/.exec(stdout) ?? [];
      expect(passed).toBe(all);
      expect(Number(passed)).toBeGreaterThanOrEqual(20);
      process.stderr.write(`Linux ${kernel.version}: ${passed} tests of the kernel ring passed\n`);
    });

    test('removed and purged, leaves nothing', async () => {
      await machine.output('root', 'dpkg --remove procbus');
      expect([await status('socket'), await status('service')]).toEqual(['inactive', 'inactive']);
      expect((await machine.run('root', 'test -e /etc/procbus/procbusd.toml')).status).toBe(0);
      await machine.output('root', 'dpkg --purge procbus');
      expect(
        (await machine.run('root', 'getent passwd procbus; getent group procbus; pgrep procbusd')).stdout,
      ).toBe('');
      const left = await machine.output(
        'root',
        `find / /run /dev/shm -xdev -path /vm -prune -o -path /tmp -prune -o -iname '*procbus*' -print`,
      );
      expect(left).toBe('');
      expect(await machine.output('root', 'systemctl list-units --all --no-legend "procbus*"')).toBe('');
    });
  });
});
