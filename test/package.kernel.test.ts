/*
 * The packages, as an administrator gets them: built, looked into, installed below a directory, run from there, removed.
 */
import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from './support/procbus.ts';
import { inRepository, Program } from './support/program.ts';
import { kernelSuite, needsProgram, suite } from './support/requirements.ts';

const built = mkdtempSync(join(tmpdir(), 'procbus-packages-'));
afterAll(() => rmSync(built, { recursive: true, force: true }));

/** Builds a Debian package; returns its path. */
function buildDeb(output: string, ...args: string[]): string {
  const script = inRepository('packaging/deb.mjs');
  return execFileSync(process.execPath, [script, '--output', output, ...args], { encoding: 'utf8' }).trim();
}

function runs(command: string, ...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(command, args, { encoding: 'utf8' });
}

/** What a watch tells of a command, by way of a helper of the same installation. */
async function watchedWith(procbus: string, procbusd: string): Promise<string> {
  const socket = join(temporaryDirectory(), 'procbus.sock');
  await new Program(procbusd, ['--socket', socket, '--config', '/dev/null']).says('listening');
  const watch = new Program(procbus, [
    'watch',
    '--json',
    '--socket',
    socket,
    '--events',
    'exec',
    '--args',
    '/bin/true mark',
    '--include',
    'args',
  ]);
  await watch.says('watching');
  runs('/bin/true', 'mark');
  return (await watch.says('"type":"exec"')).stdout;
}

kernelSuite('the Debian package', [needsProgram('dpkg-deb')], () => {
  let deb = '';
  beforeAll(() => {
    deb = buildDeb(built);
  });

  test('is named for its version and the machine', () => {
    const field = (name: string): string => runs('dpkg-deb', '--field', deb, name).stdout.trim();
    const { version } = JSON.parse(readFileSync(inRepository('package.json'), 'utf8')) as { version: string };
    const machine = runs('dpkg', '--print-architecture').stdout.trim();
    expect(field('Version')).toBe(version);
    expect(deb).toBe(join(built, `procbus_${version}_${machine}.deb`));
    expect(field('Depends')).toContain('nodejs (>= 20.19~)');
  });

  test('is the same to the byte when it is built again, elsewhere, with other habits', () => {
    const output = temporaryDirectory();
    const build = `umask 077; "$0" packaging/deb.mjs --output "$1"`;
    const env = { ...process.env, TZ: 'Pacific/Chatham', LC_ALL: 'C', TMPDIR: temporaryDirectory() };
    execFileSync('sh', ['-c', build, process.execPath, output], { cwd: inRepository('.'), env });
    const [again = ''] = readdirSync(output);
    expect(readFileSync(join(output, again)).equals(readFileSync(deb))).toBe(true);
  });

  test('holds what is run and read, all of root, and nothing that was only needed to build it', () => {
    const listing = runs('dpkg-deb', '--contents', deb).stdout.trimEnd().split('\n');
    const files = listing.map((line) => line.split(/\s+/)[5]?.slice(1) ?? '');
    const modesAndOwners = listing.map((line) => line.split(/\s+/, 2));
    for (const [mode = '', owner = ''] of modesAndOwners) {
      expect(mode).toMatch(/^(?:[d-]rwxr-xr-x|-rw-r--r--|lrwxrwxrwx)$/);
      expect(owner.split('/')).toEqual(['root', 'root']);
    }
    for (const file of [
      '/etc/procbus/procbusd.toml',
      '/usr/bin/procbus',
      '/usr/sbin/procbusd',
      '/usr/lib/systemd/system/procbus.socket',
      '/usr/lib/systemd/system/procbus.service',
      '/usr/lib/sysusers.d/procbus.conf',
      '/usr/lib/tmpfiles.d/procbus.conf',
      '/usr/share/man/man1/procbus.1.gz',
      '/usr/share/man/man5/procbusd.toml.5.gz',
      '/usr/share/man/man8/procbusd.8.gz',
      '/usr/share/bash-completion/completions/procbus',
      '/usr/share/zsh/vendor-completions/_procbus',
      '/usr/share/fish/vendor_completions.d/procbus.fish',
      '/usr/share/doc/procbus/changelog.gz',
      '/usr/share/doc/procbus/copyright',
    ]) {
      expect(files).toContain(file);
    }
    const program = files.filter((file) => file.startsWith('/usr/lib/procbus/') && !file.endsWith('/'));
    expect(program.filter((file) => !/\.(?:[cm]?js|json|node)$/.test(file))).toEqual([]);
    expect(program.filter((file) => /\btests?\b|\bmusl|\bwin32|\.map$/.test(file))).toEqual([]);
    expect(program.filter((file) => file.endsWith('.node'))).toHaveLength(1);
  });

  test('runs from where it is unpacked', async () => {
    const root = temporaryDirectory();
    runs('dpkg-deb', '--extract', deb, root);
    expect(readFileSync(join(root, 'usr/bin/procbus'), 'utf8')).toMatch(/^#!\/usr\/bin\/node\n/);
    expect(readFileSync(join(root, 'usr/sbin/procbusd'), 'utf8')).toMatch(/^#!\/usr\/bin\/node\n/);
    // Here Node may be elsewhere.
    const own = process.execPath === '/usr/bin/node' ? [] : [process.execPath];
    const start = (file: string): string => {
      if (own.length === 0) return join(root, file);
      const script = join(root, `${file}.sh`);
      writeFileSync(script, `#!/bin/sh\nexec ${own.join(' ')} ${join(root, file)} "$@"\n`, { mode: 0o755 });
      return script;
    };
    expect(await watchedWith(start('usr/bin/procbus'), start('usr/sbin/procbusd'))).toContain('/bin/true');
  });

  suite('lintian', [needsProgram('lintian')], () => {
    test('minds nothing beyond the stated overrides', () => {
      const { stdout, status } = runs('lintian', '--allow-root', '--fail-on', 'error,warning', deb);
      expect(stdout).toBe('');
      expect(status).toBe(0);
    });
  });

  suite('dpkg', [needsProgram('systemd-sysusers'), needsProgram('deb-systemd-helper')], () => {
    test('installs, upgrades, removes and purges it, and then nothing is left', () => {
      const root = temporaryDirectory();
      for (const directory of ['info', 'updates', 'triggers']) {
        mkdirSync(join(root, 'var/lib/dpkg', directory), { recursive: true });
      }
      for (const file of ['status', 'available']) writeFileSync(join(root, 'var/lib/dpkg', file), '');
      mkdirSync(join(root, 'etc/systemd/system'), { recursive: true });
      for (const file of ['passwd', 'group']) cpSync(join('/etc', file), join(root, 'etc', file));
      const dpkg = (...args: string[]): void => {
        const force = ['--force-depends', '--force-script-chrootless'];
        const { status, stderr } = runs('dpkg', `--root=${root}`, ...force, ...args);
        expect(stderr.replace(/^dpkg: .*\n(?: .*\n)*/gm, '').replace(/^Creating .*\n/gm, '')).not.toMatch(
          /./,
        );
        expect(status).toBe(0);
      };
      const accounts = (): string[] =>
        ['passwd', 'group'].flatMap(
          (file) => readFileSync(join(root, 'etc', file), 'utf8').match(/^procbus:/gm) ?? [],
        );
      const enabled = join(root, 'etc/systemd/system/sockets.target.wants/procbus.socket');
      const config = join(root, 'etc/procbus/procbusd.toml');
      const files = (): string[] =>
        readdirSync(root, { recursive: true, encoding: 'utf8' })
          .filter((file) => /procbus/.test(file) && !file.startsWith('var/lib/dpkg/'))
          .toSorted();

      dpkg('--install', deb);
      expect(accounts()).toEqual(['procbus:', 'procbus:']);
      expect(readdirSync(join(enabled, '..'))).toEqual(['procbus.socket']);

      writeFileSync(config, '# changed by the administrator\n');
      dpkg('--install', buildDeb(root, '--version', '99.0.0-rc.1'));
      expect(readFileSync(config, 'utf8')).toBe('# changed by the administrator\n');
      const manifest = join(root, 'usr/lib/procbus/node_modules/@procbus/helper/package.json');
      expect(readFileSync(manifest, 'utf8')).toContain('"version": "99.0.0-rc.1"');

      dpkg('--remove', 'procbus');
      expect(existsSync(join(root, 'usr/lib/procbus'))).toBe(false);
      expect(existsSync(config)).toBe(true);

      dpkg('--purge', 'procbus');
      expect(accounts()).toEqual([]);
      rmSync(join(root, readdirSync(root).find((file) => file.endsWith('.deb')) ?? ''));
      expect(files()).toEqual([]);
    });
  });
});

/** In a namespace with an /etc and a /run of its own, and the installation at /opt. */
const installAndUninstall = String.raw`
set -e
mount -t tmpfs none /mnt
cp -a /etc /mnt/etc
mount --bind /mnt/etc /etc
mount -t tmpfs none /run
mount --bind "$1" /opt
# Each of these makes copies of what it changes, and a lock.
state() { find /etc /run | grep -Ev '^/etc/(\.pwd\.lock|(passwd|group|shadow|gshadow|subuid|subgid)-?)$' | sort; getent passwd; getent group; }
state > /mnt/before
/opt/bin/procbusd install --dry-run
state | diff /mnt/before -
/opt/bin/procbusd install
/opt/bin/procbusd install > /dev/null
systemctl is-enabled procbus.socket
getent group procbus > /dev/null
grep ExecStart= /etc/systemd/system/procbus.service
/opt/bin/procbusd --check-config
usermod --append --groups procbus nobody
echo '# changed' >> /etc/procbus/procbusd.toml
/opt/bin/procbusd uninstall
test -e /etc/procbus/procbusd.toml
/opt/bin/procbusd uninstall --purge
state | diff /mnt/before -
echo 'nothing is left'
echo 'of somebody else' > /etc/systemd/system/procbus.service
/opt/bin/procbusd install 2>&1 || echo "status $?"
rm /etc/systemd/system/procbus.service
chmod o+w /opt/lib/node_modules/@procbus/helper/bin/procbusd.js
/opt/bin/procbusd install 2>&1 || echo "status $?"
`;

const isPackaged = ['/usr/lib', '/lib', '/etc'].some((path) =>
  existsSync(`${path}/systemd/system/procbus.service`),
);

kernelSuite(
  'the packages for npm',
  [
    needsProgram('npm'),
    needsProgram('unshare'),
    needsProgram('systemd-sysusers'),
    isPackaged ? 'needs a machine without procbus' : undefined,
  ],
  () => {
    const prefix = join(built, 'prefix');
    /** Installs and removes; nothing of it needs a script to be run. */
    const npm = (...args: string[]): void => {
      const options = [
        '--global',
        '--prefix',
        prefix,
        '--loglevel=error',
        '--ignore-scripts',
        '--prefer-offline',
      ];
      execFileSync('npm', [...options, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    };

    beforeAll(() => {
      const options = { cwd: inRepository('.'), encoding: 'utf8' } as const;
      const packed = execFileSync(
        'npm',
        ['pack', '--workspaces', '--silent', '--pack-destination', built],
        options,
      );
      mkdirSync(prefix);
      npm(
        'install',
        ...packed
          .trim()
          .split('\n')
          .map((file) => join(built, file)),
      );
    });

    test('have what they need, with a licence and a README, and no sources', () => {
      for (const name of ['protocol', 'helper', 'client']) {
        const files = readdirSync(join(prefix, 'lib/node_modules/@procbus', name), {
          recursive: true,
          encoding: 'utf8',
        }).filter((file) => !file.startsWith('node_modules'));
        expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'dist', 'package.json']));
        expect(files.filter((file) => /\.map$|tsbuildinfo|^src|^test|[^d]\.ts$/.test(file))).toEqual([]);
      }
      for (const page of ['man1/procbus.1', 'man5/procbusd.toml.5', 'man8/procbusd.8']) {
        expect(existsSync(join(prefix, 'share/man', page))).toBe(true);
      }
    });

    test('work from an empty prefix', async () => {
      expect(await watchedWith(join(prefix, 'bin/procbus'), join(prefix, 'bin/procbusd'))).toContain(
        '/bin/true',
      );
    });

    test('bring a helper that clients start by themselves', async () => {
      const env = { ...process.env, PROCBUS_SOCKET: undefined };
      const watch = new Program(join(prefix, 'bin/procbus'), ['watch', '--count', '1'], { env });
      await watch.says('watching');
      runs('/bin/true');
      expect(await watch.ended).toBe(0);
    });

    describe('procbusd install', () => {
      test('refuses a place that the service would not see', () => {
        const { stderr, status } = runs(join(prefix, 'bin/procbusd'), 'install', '--dry-run');
        expect(stderr).toContain('as /tmp is closed to it');
        expect(status).toBe(73);
      });

      test('makes a service of it, which uninstall undoes without a trace', () => {
        const { stdout, stderr } = runs('unshare', '--mount', 'sh', '-c', installAndUninstall, 'sh', prefix);
        expect(stderr).toBe('');
        const lines = stdout.split('\n');
        const written = lines.filter((line) => line.startsWith('write /etc'));
        expect(lines.filter((line) => line.startsWith('would write'))).toEqual(
          written.map((line) => `would ${line}`),
        );
        expect(written).toHaveLength(4);
        expect(stdout).toContain(
          `ExecStart=${process.execPath} /opt/lib/node_modules/@procbus/helper/bin/procbusd.js\n`,
        );
        expect(stdout).toContain('keep /etc/procbus/procbusd.toml, which has been changed');
        expect(stdout).toContain('nothing is left');
        expect(stdout).toContain('/etc/systemd/system/procbus.service is not from procbusd install');
        expect(stdout).toContain(
          'others than root can change /opt/lib/node_modules/@procbus/helper/bin/procbusd.js',
        );
        expect(stdout.match(/^status \d+$/gm)).toEqual(['status 73', 'status 73']);
      });
    });

    test('leave nothing when npm removes them', () => {
      npm('uninstall', '@procbus/client', '@procbus/helper', '@procbus/protocol');
      const left = readdirSync(prefix, { recursive: true, withFileTypes: true }).filter(
        (entry) => !entry.isDirectory(),
      );
      expect(left).toEqual([]);
    });
  },
);
