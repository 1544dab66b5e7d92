/*
 * What a subscription sees of a process: with an event, and in a snapshot. Pure.
 */
import type { Circumstances, Include, KernelEvent, Life, ProcessInfo, WireProcess } from '@procbus/protocol';
import type { Process } from '../processes/process.ts';

/** What an event tells of the life of its process. */
export function lifeOf(event: KernelEvent, process: Process): Life {
  if (event.type !== 'exit') return nothingTold;
  if (event.pid !== event.tid) return { status: event.status };
  return { status: event.status, runtime: process.age(event.kernelTime) };
}

const nothingTold: Life = {};

/** The circumstances of an event, for those who asked for `include`. */
export function circumstancesOf(
  event: KernelEvent,
  process: Process,
  include: ReadonlySet<Include>,
): Circumstances {
  const isLeader = event.pid === event.tid;
  const parent = event.type === 'fork' && isLeader ? process.parent : undefined;
  return {
    process: infoOf(process, include),
    ...(parent === undefined ? {} : { parent: infoOf(parent, nothing) }),
    ...(event.type === 'exit' && isLeader ? { runtime: process.age(event.kernelTime) } : {}),
    ...(event.synthetic === true ? { synthetic: true } : {}),
  };
}

const nothing: ReadonlySet<Include> = new Set();

/** In a snapshot these are told without being asked for. */
const always: readonly Include[] = ['exe', 'args', 'cgroup', 'container', 'user'];

/** A process of a snapshot. */
export function recordOf(process: Process, include: ReadonlySet<Include>): WireProcess {
  const { pid, parent, startTime, endTime, status } = process;
  const { uid, euid, gid, egid, sid, tty } = process.facts;
  return {
    pid,
    ppid: parent?.pid ?? 0,
    ...infoOf(process, new Set([...always, ...include])),
    uid,
    euid,
    gid,
    egid,
    sid,
    tty,
    startTime,
    ...(endTime === undefined ? {} : { endTime }),
    ...(status === undefined ? {} : { status }),
  };
}

function infoOf(process: Process, include: ReadonlySet<Include>): ProcessInfo {
  const { id, facts } = process;
  const { comm, detail } = facts;
  if (include.size === 0) return { id, comm, detail };
  const info: Record<string, unknown> = { id, comm, detail };
  const add = (name: Include, value: unknown): void => {
    if (value !== undefined && include.has(name)) info[name] = value;
  };
  add('exe', facts.exe);
  add('args', facts.args);
  if (facts.argsTruncated === true && include.has('args')) info['argsTruncated'] = true;
  add('cwd', facts.cwd);
  add('cgroup', facts.cgroup);
  add('container', facts.container);
  if (include.has('user')) add('user', process.user);
  if (include.has('ancestors')) add('ancestors', process.ancestors);
  return info as unknown as ProcessInfo;
}
