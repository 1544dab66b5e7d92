/*
 * What a subscription is told of the process of an event: its name, and what it asked for. Pure.
 */
import type { Circumstances, Include, KernelEvent, ProcessInfo } from '@procbus/protocol';
import { ancestorsOf, type Process } from '../processes/process.ts';
import { userName } from '../processes/users.ts';

/** The circumstances of an event, for those who asked for `include`. */
export function circumstancesOf(
  event: KernelEvent,
  process: Process,
  include: ReadonlySet<Include>,
): Circumstances {
  const told = { process: infoOf(process, include) };
  if (event.pid !== event.tid) return told;
  if (event.type === 'fork' && process.parent !== undefined) {
    return { ...told, parent: infoOf(process.parent, nothing) };
  }
  if (event.type === 'exit') return { ...told, runtime: Number(event.kernelTime - process.startTime) / 1e9 };
  return told;
}

const nothing: ReadonlySet<Include> = new Set();

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
  if (include.has('user')) add('user', userName(facts.uid));
  if (include.has('ancestors')) add('ancestors', ancestorsOf(process));
  return info as unknown as ProcessInfo;
}
