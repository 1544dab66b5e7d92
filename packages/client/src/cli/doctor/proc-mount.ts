/*
 * /proc: whether it hides the processes of others, from us and from a helper.
 */
import { readFileSync } from 'node:fs';
import type { Check } from './check.ts';

/** The names of `hidepid`, see proc(5); kernels before 5.8 have numbers. */
const levels: Readonly<Record<string, string>> = { '1': 'noaccess', '2': 'invisible', '4': 'ptraceable' };

/**
 * How /proc hides processes, by the text of /proc/self/mountinfo.
 *
 * @returns a name of proc(5); `off` where it hides none, undefined where /proc is not mounted
 */
export function hidepidIn(mountinfo: string): string | undefined {
  // Of several mounts at one place, the last one is on top.
  const line = mountinfo
    .split('\n')
    .map((each) => each.split(' '))
    .findLast(([, , , , point]) => point === '/proc');
  if (line === undefined) return undefined;
  const options = [line[5], line.at(-1)].join(',').split(',');
  const value = options.find((option) => option.startsWith('hidepid='))?.slice('hidepid='.length);
  if (value === undefined || value === '0') return 'off';
  return levels[value] ?? value;
}

/** How /proc hides processes from this one; undefined where that cannot be told. */
export function readHidepid(): string | undefined {
  try {
    return hidepidIn(readFileSync('/proc/self/mountinfo', 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * What it means for a helper.
 *
 * @param capabilities - of the helper, where it tells them
 */
export function checkProc(hidepid: string | undefined, capabilities: readonly string[] | undefined): Check {
  const name = 'proc';
  if (hidepid === undefined) return { name, status: 'skip', what: '/proc is not mounted here' };
  if (hidepid === 'off') return { name, status: 'ok', what: '/proc hides no processes (no hidepid)' };
  const hides = `/proc hides what others run (hidepid=${hidepid})`;
  if (capabilities === undefined) {
    return { name, status: 'ok', what: `${hides}; a helper needs CAP_SYS_PTRACE to see it` };
  }
  if (capabilities.includes('CAP_SYS_PTRACE')) {
    return { name, status: 'ok', what: `${hides}; the helper sees it, and tells it to whom it is granted` };
  }
  return {
    name,
    status: 'warn',
    what: `${hides}, also from the helper, which tells of it as partial or gone`,
    remedy: 'Give procbusd CAP_SYS_PTRACE: AmbientCapabilities= in its unit, or run it as root.',
  };
}
