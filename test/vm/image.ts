/*
 * What a virtual machine is made of: a Debian 13 root file system, and kernels of three Debians.
 *
 * Both come from the mirror that apt is set up with, and are kept in a cache, as they take minutes: below
 * $XDG_CACHE_HOME, or where $PROCBUS_VM_CACHE says.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** A kernel that a machine can run. */
export interface Kernel {
  /** The Debian that it is of. */
  readonly suite: string;
  /** The beginning of its version. */
  readonly version: string;
  /** Whether it lets anybody subscribe to process events. */
  readonly letsAnybodyListen: boolean;
}

/** The oldest first. */
export const kernels: readonly Kernel[] = [
  { suite: 'bullseye', version: '5.10', letsAnybodyListen: false },
  { suite: 'bookworm', version: '6.1', letsAnybodyListen: false },
  { suite: 'trixie', version: '6.12', letsAnybodyListen: true },
];

const system = 'trixie';
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** What the system has beyond the least: what procbus depends on, and what its tests run. */
const included = 'systemd,systemd-sysv,dbus,nodejs,util-linux,passwd,procps,gcc,libc6-dev';

const cache =
  process.env['PROCBUS_VM_CACHE'] ??
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'procbus-vm');

/** Path of an archive, for cpio, of the system. */
export function systemArchive(): string {
  const key = createHash('sha256')
    .update(included + prepare)
    .digest('hex')
    .slice(0, 12);
  return cached(`${system}-${key}.cpio`, (path) => {
    const root = `${path}.root`;
    try {
      run('debootstrap', [
        '--variant=minbase',
        `--include=${included}`,
        `--keyring=${keyring}`,
        system,
        root,
        mirror(),
      ]);
      run('sh', ['-ec', prepare, 'sh', root]);
      pack(root, path);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
}

/** Packs a directory into an archive that a kernel unpacks at its start. */
export function pack(directory: string, archive: string): void {
  run('sh', [
    '-ec',
    'cd "$1"; find . -mindepth 1 | cpio --create --format=newc --quiet > "$2"',
    'sh',
    directory,
    archive,
  ]);
}

/** Makes it small, and a system that starts without a disk, a console or somebody to log in. */
const prepare = `
cd "$1"
rm -rf usr/share/doc/* usr/share/man/* usr/share/locale/* var/cache/apt/* var/lib/apt/lists/* usr/lib/gcc/*/*/lto* \\
  usr/libexec/gcc/*/*/lto*
ln -sf /sbin/init init
echo 0123456789abcdef0123456789abcdef > etc/machine-id
echo procbus-vm > etc/hostname
for unit in serial-getty@ttyS0.service getty@tty1.service systemd-timesyncd.service apt-daily.timer \\
  apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-firstboot.service systemd-modules-load.service ldconfig.service \\
  systemd-journal-catalog-update.service systemd-pstore.service; do
  ln -sf /dev/null "etc/systemd/system/$unit"
done
`;

/** Path of a kernel. */
export function kernelImage({ suite }: Kernel): string {
  return cached(`vmlinuz-${suite}`, (path) => {
    const work = `${path}.work`;
    mkdirSync(join(work, 'lists/partial'), { recursive: true });
    mkdirSync(join(work, 'cache/archives/partial'), { recursive: true });
    writeFileSync(join(work, 'sources.list'), `deb [signed-by=${keyring}] ${mirror()} ${suite} main\n`);
    const apt = (tool: string, ...args: string[]): string => {
      const here = {
        'Dir::Etc::sourcelist': join(work, 'sources.list'),
        'Dir::Etc::sourceparts': '/dev/null',
        'Dir::State::lists': join(work, 'lists'),
        'Dir::Cache': join(work, 'cache'),
        'Acquire::Languages': 'none',
        'APT::Sandbox::User': 'root',
      };
      const options = Object.entries(here).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
      return run(tool, [...options, ...args], work);
    };
    try {
      apt('apt-get', 'update', '-qq');
      // A package that depends on the one of the newest version.
      const newest = apt('apt-cache', 'show', 'linux-image-cloud-amd64');
      const name = /^Depends: (\S+)/m.exec(newest)?.[1] ?? '';
      apt('apt-get', 'download', '-qq', name);
      const deb = readdirSync(work).find((file) => file.endsWith('.deb')) ?? '';
      run('dpkg-deb', ['--extract', join(work, deb), join(work, 'tree')]);
      const boot = join(work, 'tree/boot');
      const image = readdirSync(boot).find((file) => file.startsWith('vmlinuz')) ?? '';
      renameSync(join(boot, image), path);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
}

/** A file of the cache, made if it is not there. */
function cached(name: string, make: (path: string) => void): string {
  const path = join(cache, name);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  process.stderr.write(`making ${path}\n`);
  // Whole or not at all, also where two are at it.
  const unfinished = `${path}.${process.pid}`;
  make(unfinished);
  renameSync(unfinished, path);
  return path;
}

/** The mirror that apt takes Debian from. */
function mirror(): string {
  const files = ['/etc/apt/sources.list', '/etc/apt/sources.list.d/debian.sources'];
  const text = files.map((file) => (existsSync(file) ? readFileSync(file, 'utf8') : '')).join('\n');
  return (
    /^(?:URIs:|deb(?: \[.*?\])?) +(\S+\/debian)\/?(?:\s|$)/m.exec(text)?.[1] ?? 'http://deb.debian.org/debian'
  );
}

function run(command: string, args: readonly string[], cwd = '/'): string {
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 26,
  });
}
