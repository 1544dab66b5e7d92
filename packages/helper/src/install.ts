/*
 * procbusd install and uninstall: for those who have procbus from npm, what a package of their distribution would do.
 *
 * A command is a list of steps that say what they do before any of them is done, and --dry-run is that list, told.
 * What it writes bears a mark, and what does not bear it is never overwritten or removed. The service runs with
 * capabilities, so it is installed only where nobody but root could change its program.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ProcbusError } from '@procbus/protocol';
import { readCommandLine } from './command-line.ts';
import { defaultConfigPath } from './config/config.ts';
import * as libc from './libc.ts';
import { refuseUnsafe } from './safe-program.ts';

/** One thing to do. */
interface Step {
  readonly says: string;
  readonly run: () => void;
}

/** What is asked for. */
interface Asked {
  readonly dryRun: boolean;
  readonly purge: boolean;
}

const units = ['procbus.socket', 'procbus.service'];

/** What comes with this package, and where it goes. */
const files: readonly (readonly [from: string, to: string])[] = [
  ...units.map((unit) => [unit, `/etc/systemd/system/${unit}`] as const),
  ['procbus.tmpfiles.conf', '/etc/tmpfiles.d/procbus.conf'],
];

const mark = '# Written by "procbusd install", and removed by "procbusd uninstall".\n';
const runtimeDirectory = '/run/procbus';
const account = 'procbus';
/** How the program is called in the unit. */
const placeholder = '/usr/sbin/procbusd';
/** Outside of systemd, as in a chroot, only files and accounts can be made. */
const systemdRuns = existsSync('/run/systemd/system');

/**
 * Carries a command out, telling each step on stdout; `--help` prints and exits.
 *
 * @throws ProcbusError `usage`, `not-permitted` or `install`
 */
export function manage(command: 'install' | 'uninstall', args: readonly string[]): void {
  const asked = parse(command, args);
  if (!asked.dryRun && process.geteuid?.() !== 0) {
    throw new ProcbusError('not-permitted', `procbusd ${command} is for root`, {
      remedy: 'Use sudo; --dry-run tells what it would do.',
    });
  }
  refuseOthers();
  for (const { says, run } of command === 'install' ? installSteps() : uninstallSteps(asked)) {
    process.stdout.write(`${asked.dryRun ? 'would ' : ''}${says}\n`);
    if (!asked.dryRun) run();
  }
  if (command === 'install' && !asked.dryRun) {
    const when = systemdRuns
      ? ''
      : '; systemd does not run here, so it begins with the next start of the machine';
    process.stdout.write(
      `Members of group ${account} may connect: usermod --append --groups ${account} USER${when}\n`,
    );
  }
}

const help = {
  install: `procbusd install [--dry-run]

Makes procbusd a service: units of systemd, user and group, configuration. May
be repeated.

Options:
  --dry-run  Only tell what would be done
  --help     Show help
`,
  uninstall: `procbusd uninstall [--dry-run] [--purge]

Undoes procbusd install.

Options:
  --dry-run  Only tell what would be done
  --purge    Remove the configuration also if it has been changed
  --help     Show help
`,
};

function parse(command: 'install' | 'uninstall', args: readonly string[]): Asked {
  const options = { 'dry-run': { type: 'boolean' }, purge: { type: 'boolean' } } as const;
  const values = readCommandLine(`procbusd ${command}`, args, options, help[command]);
  return { dryRun: values['dry-run'] ?? false, purge: values.purge ?? false };
}

function installSteps(): Step[] {
  const here = fileURLToPath(new URL('../', import.meta.url));
  const protocol = fileURLToPath(new URL('../', import.meta.resolve('@procbus/protocol')));
  refuseUnsafe([process.execPath, here, protocol]);
  const program = [process.execPath, `${here}bin/procbusd.js`].join(' ');
  return [
    ...files.map(([from, to]) => write(to, mark + shipped(from).replaceAll(placeholder, () => program))),
    ...(existsSync(defaultConfigPath) ? [] : [write(defaultConfigPath, shipped('procbusd.toml'))]),
    call('systemd-sysusers', '-', { input: shipped('procbus.sysusers.conf') }),
    call('systemd-tmpfiles', '--create', '/etc/tmpfiles.d/procbus.conf'),
    ...(systemdRuns ? [call('systemctl', 'daemon-reload')] : []),
    call('systemctl', 'enable', ...(systemdRuns ? ['--now'] : []), 'procbus.socket'),
    // Who is connected goes on with the new one.
    ...(systemdRuns ? [call('systemctl', 'try-restart', 'procbus.service')] : []),
  ];
}

function uninstallSteps({ purge }: Asked): Step[] {
  const there = files.map(([, to]) => to).filter((path) => existsSync(path));
  const isInstalled = there.some((path) => path.startsWith('/etc/systemd/'));
  return [
    ...(isInstalled ? [call('systemctl', 'disable', ...(systemdRuns ? ['--now'] : []), ...units)] : []),
    ...(isInstalled && systemdRuns ? [call('systemctl', 'reset-failed', ...units, { mayFail: true })] : []),
    ...there.map(remove),
    ...configSteps(purge),
    ...(isInstalled && systemdRuns ? [call('systemctl', 'daemon-reload')] : []),
    ...(existsSync(runtimeDirectory) ? [remove(runtimeDirectory)] : []),
    ...(libc.userExists(account) ? [call('userdel', account)] : []),
    // userdel takes the group along, unless it has members.
    ...(libc.groupId(account) === undefined
      ? []
      : [call('groupdel', account, { unless: () => libc.groupId(account) === undefined })]),
  ];
}

/** Removes the configuration, unless it is somebody's work. */
function configSteps(purge: boolean): Step[] {
  if (!existsSync(defaultConfigPath)) return [];
  if (purge || readFileSync(defaultConfigPath, 'utf8') === shipped('procbusd.toml')) {
    return [remove(defaultConfigPath)];
  }
  return [
    {
      says: `keep ${defaultConfigPath}, which has been changed; --purge removes it`,
      run: () => undefined,
    },
  ];
}

/** A file that comes with this package. */
function shipped(name: string): string {
  try {
    return readFileSync(new URL(`../share/${name}`, import.meta.url), 'utf8');
  } catch (cause) {
    throw new ProcbusError('install', `${name} did not come with this procbusd`, {
      remedy: 'Install the package @procbus/helper with npm install --global.',
      cause,
    });
  }
}

/** Leaves alone what was installed in another way. */
function refuseOthers(): void {
  for (const directory of ['/usr/lib/systemd/system', '/lib/systemd/system']) {
    if (!existsSync(`${directory}/procbus.service`)) continue;
    throw new ProcbusError('install', `a package of the system has procbus installed, in ${directory}`, {
      remedy: 'Leave it to that one, or remove it first: apt remove procbus',
    });
  }
  for (const [, path] of files) {
    if (!existsSync(path) || readFileSync(path, 'utf8').startsWith(mark)) continue;
    throw new ProcbusError('install', `${path} is not from procbusd install`, {
      remedy: 'Move it away first.',
    });
  }
}

function write(path: string, content: string): Step {
  return {
    says: `write ${path}`,
    run: () => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
      writeFileSync(path, content, { mode: 0o644 });
    },
  };
}

/** Removes a file or a directory, and the directory that was made for it. */
function remove(path: string): Step {
  return {
    says: `remove ${path}`,
    run: () => {
      rmSync(path, { recursive: true, force: true });
      if (path === defaultConfigPath) removeEmpty(dirname(path));
    },
  };
}

function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Somebody has put something there, too.
  }
}

/** Runs a program. */
function call(command: string, ...rest: (string | CallOptions)[]): Step {
  const args = rest.filter((arg) => typeof arg === 'string');
  const { input = '', unless, mayFail = false } = rest.find((arg) => typeof arg === 'object') ?? {};
  return {
    says: `run ${[command, ...args].join(' ')}`,
    run: () => {
      if (unless?.() === true) return;
      const { status, error, stderr } = spawnSync(command, args, { input, encoding: 'utf8' });
      if (status === 0 || mayFail) return;
      const why = error?.message ?? (stderr.trim() || `exit status ${status}`);
      throw new ProcbusError('install', `${command} failed: ${why}`, { cause: error });
    },
  };
}

interface CallOptions {
  /** What it reads from stdin. */
  readonly input?: string;
  /** Whether it has become needless. */
  readonly unless?: () => boolean;
  readonly mayFail?: boolean;
}
