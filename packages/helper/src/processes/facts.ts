/*
 * The facts of a process, put together from the files of /proc.
 */
import { bootOffset } from '../libc.ts';
import { containerOf } from './container.ts';
import type { Facts } from './process.ts';
import { readArguments, readCgroup, readCwd, readExe, readIds, readStat } from './procfs.ts';

const tick = 10_000_000n; // ns; the kernel's USER_HZ is 100 on every architecture we run on

/** What an exec changes. */
type Image = Pick<
  Facts,
  'comm' | 'exe' | 'args' | 'argsTruncated' | 'cwd' | 'cgroup' | 'container' | 'detail'
>;

/**
 * Reads what an exec changes, the most fleeting first: arguments and program go with the last thread,
 * the name stays until the process is reaped.
 */
export function readImage(pid: number): Image {
  const found = readArguments(pid);
  const exe = readExe(pid);
  const cwd = readCwd(pid);
  const text = readCgroup(pid);
  const comm = readStat(pid)?.comm;
  return {
    comm: comm ?? found?.args[0]?.split('/').at(-1)?.slice(0, 15) ?? '',
    exe,
    args: found?.args,
    argsTruncated: found?.truncated === true ? true : undefined,
    cwd,
    cgroup: text === undefined ? undefined : cgroupPath(text),
    container: text === undefined ? undefined : containerOf(text),
    detail: detailOf(found !== undefined, exe !== undefined, comm !== undefined),
  };
}

function detailOf(args: boolean, exe: boolean, comm: boolean): Facts['detail'] {
  if (args && exe) return 'complete';
  return args || exe || comm ? 'partial' : 'gone';
}

/** All that /proc tells of a process; undefined where it is gone. */
export function readProcess(pid: number): { startTime: bigint; ppid: number; facts: Facts } | undefined {
  const stat = readStat(pid);
  const ids = readIds(pid);
  if (stat === undefined || ids === undefined) return undefined;
  const { sid, tty, ppid, startTicks } = stat;
  const startTime = BigInt(startTicks) * tick - bootOffset();
  return { startTime, ppid, facts: { ...readImage(pid), ...ids, sid, tty } };
}

/** The path in the unified hierarchy, or else in systemd's own. */
function cgroupPath(text: string): string | undefined {
  const lines = text.split('\n');
  const unified = lines.find((line) => line.startsWith('0::'))?.slice(3);
  if (unified !== undefined && unified !== '/') return unified;
  const named = lines.find((line) => line.includes(':name=systemd:'));
  return named?.slice(named.indexOf(':name=systemd:') + ':name=systemd:'.length) ?? unified;
}
