/*
 * A helper that may not see everything: without privileges, and with a /proc of its own that hides.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { procbusd, temporaryDirectory, type RunningHelper } from './procbus.ts';
import { Program } from './program.ts';

/** What a helper is left with, as options of setpriv(1). */
export const restrictions = {
  'as nobody, with CAP_NET_ADMIN alone': [
    '--reuid=nobody',
    '--regid=nogroup',
    '--clear-groups',
    '--inh-caps=+net_admin',
    '--ambient-caps=+net_admin',
  ],
  // Of another group, as /proc hides nothing from the group of root.
  'as root without CAP_SYS_PTRACE': ['--regid=nogroup', '--clear-groups', '--bounding-set=-sys_ptrace'],
} as const;

export interface Restricted {
  readonly privileges: readonly string[];
  /** Whether it sees in /proc only what it may trace, see `hidepid` in proc(5). */
  readonly hidden?: boolean;
}

/** Starts such a helper, and waits until it listens. */
export async function startRestrictedHelper(
  { privileges, hidden = false }: Restricted,
  ...args: string[]
): Promise<RunningHelper> {
  const directory = temporaryDirectory();
  execFileSync('chown', ['nobody', directory]);
  const socket = join(directory, 'procbus.sock');
  const command = ['setpriv', ...privileges, process.execPath, procbusd, '--socket', socket, ...args];
  // A mount of its own: options of a mount that is only copied would be those of the machine's, too.
  const script = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"';
  const namespace = ['unshare', '--mount', '--propagation', 'private', '/bin/sh', '-c', script, 'sh'];
  const [program = '', ...rest] = hidden ? [...namespace, ...command] : command;
  const helper = new Program(program, rest);
  await helper.says('listening');
  return { program: helper, socket };
}

/** A program of the user nobody that runs until its stdin ends. */
export function lingeringAsNobody(): Program {
  return new Program('setpriv', ['--reuid=nobody', '--regid=nogroup', '--clear-groups', '/bin/cat', '-']);
}

/** The same of root. */
export function lingeringAsRoot(): Program {
  return new Program('/bin/cat', ['-']);
}
