/*
 * Whether a program may become a service that has capabilities: only root may be able to change any of it, and the
 * service has to see it.
 */
import { lstatSync, readdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ProcbusError } from '@procbus/protocol';

/** Directories that the service does not see: ProtectHome= and PrivateTmp= of procbus.service. */
const hidden = ['/home', '/root', '/run/user', '/tmp', '/var/tmp'];

const others = 0o022;
const sticky = 0o1000;

/**
 * Refuses a program that the service must not run, or could not.
 *
 * @param paths - absolute, of files, and of directories where all that is in them matters
 * @throws ProcbusError `install`
 */
export function refuseUnsafe(paths: readonly string[]): void {
  for (const path of paths) {
    const real = realpathSync(path);
    // systemd reads more into other characters.
    if (!/^[\w@+=:,./-]+$/.test(path)) refuse(`systemd would not understand the path ${path}`);
    const closed = hidden.find((directory) => real.startsWith(`${directory}/`));
    if (closed !== undefined) refuse(`the service does not see ${real}, as ${closed} is closed to it`);
    const weak = weakPlaceAbove(real) ?? weakPlaceBelow(real);
    if (weak !== undefined) refuse(`others than root can change ${weak}, and so what the service runs`);
  }
}

function refuse(why: string): never {
  throw new ProcbusError('install', why, {
    remedy:
      'Install Node and procbus as root, and for all, as in: sudo npm install --global --prefix /usr/local',
  });
}

/** The file itself, or a directory above it, that others may write to. */
function weakPlaceAbove(path: string): string | undefined {
  if (isWeak(path)) return path;
  return path === '/' ? undefined : weakPlaceAbove(dirname(path));
}

/** The first of all files below a directory that others may write to. */
function weakPlaceBelow(directory: string): string | undefined {
  if (!lstatSync(directory).isDirectory()) return undefined;
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .find(isWeak);
}

function isWeak(path: string): boolean {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) return stats.uid !== 0;
  // In a sticky directory only its owner can put something else in the place of a file.
  const shared = (stats.mode & others) !== 0 && !(stats.isDirectory() && (stats.mode & sticky) !== 0);
  return stats.uid !== 0 || shared;
}
