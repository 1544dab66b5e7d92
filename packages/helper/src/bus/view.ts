/*
 * What a subscription sees of processes: with an event, and in a snapshot. Pure.
 *
 * Idea: a lens is what is granted, and of that what is asked for. All that is cut for somebody is cut here,
 * before anything is packed.
 */
import {
  tells,
  type EventType,
  type Grant,
  type Include,
  type KernelEvent,
  type Life,
  type Loss,
  type ProcessInfo,
  type Subject,
  type WireProcess,
} from '@procbus/protocol';
import { ancestorsOf, type Link, type Portrait } from '../processes/portrait.ts';
import type { Process } from '../processes/process.ts';
import type { Told } from '../processes/told.ts';

/** Whose processes somebody is shown, and how much of them. */
export interface Lens {
  /** The real user whose processes these are; undefined for all. */
  readonly owner: number | undefined;
  readonly events: ReadonlySet<EventType>;
  /** Whether names are told. */
  readonly names: boolean;
  /** What is told beside. */
  readonly include: ReadonlySet<Include>;
}

/** What a grant lets somebody see who asks for `include`. */
export function lensOf(grant: Grant, uid: number, include: Iterable<Include>): Lens {
  return {
    owner: grant.scope === 'own' ? uid : undefined,
    events: new Set(grant.events),
    names: tells(grant.detail, 'comm'),
    include: new Set([...include].filter((fact) => tells(grant.detail, fact))),
  };
}

/** Whether an event is shown at all. Who changes hands is shown to both. */
export function isShown({ owner, events }: Lens, { event, process, formerUid }: Told): boolean {
  if (!events.has(event.type)) return false;
  return owner === undefined || process.facts.uid === owner || formerUid === owner;
}

/** Whether a process is shown. */
export function isOwn({ owner }: Lens, process: Portrait): boolean {
  return owner === undefined || process.facts.uid === owner;
}

/** A process as conditions may look at it: what is not shown does not exist. */
export function subjectOf(lens: Lens, process: Portrait): Subject {
  return isProgramShown(lens, process.facts) ? process : nameless(process);
}

/**
 * A process of the past as conditions may look at it.
 *
 * @param isMarked - whether somebody watched a subtree then; else those above the process are all that is known
 */
export function pastSubjectOf(lens: Lens, process: Portrait, isMarked: (root: string) => boolean): Subject {
  const { pid, comm, exe, args, cgroup, container, uid, user } = subjectOf(lens, process);
  const isWithin = (id: string): boolean => process.isWithin(id) || (!isMarked(id) && process.isBelow(id));
  return { pid, comm, exe, args, cgroup, container, uid, user, isWithin };
}

/** What an event tells of the life of its process. */
export function lifeOf(event: KernelEvent, process: Portrait): Life {
  if (event.type !== 'exit') return nothingTold;
  if (event.pid !== event.tid) return { status: event.status };
  return { status: event.status, runtime: process.age(event.kernelTime) };
}

const nothingTold: Life = {};

/** An event without what is not shown: a name is that of a program. */
export function eventOf(lens: Lens, event: KernelEvent, { facts }: Portrait): KernelEvent {
  const isNameTold = event.type !== 'comm' || (lens.names && isProgramShown(lens, facts));
  return isNameTold ? event : { ...event, comm: '' };
}

/** The parent that an event tells of: a new process's, if it is shown. */
export function toldParentOf(lens: Lens, event: KernelEvent, { parent }: Portrait): Link | undefined {
  if (event.type !== 'fork' || event.pid !== event.tid || parent === undefined) return undefined;
  return isLinkShown(lens, parent) ? parent : undefined;
}

/** A loss, which counts the events of all: of those of others nothing is told. */
export function lossOf({ owner }: Lens, loss: Loss): Loss {
  return owner === undefined || loss.where === 'queue' ? loss : { ...loss, count: 0, from: loss.to };
}

/** In a snapshot these are told without being asked for. */
const always: readonly Include[] = ['exe', 'args', 'cgroup', 'container', 'user'];

/** A process at one moment of its life: what may change does not change here. */
export type Standing = Pick<Process, 'portrait' | 'parent' | 'endTime' | 'status'>;

/** What a snapshot shows to who sees through a lens that includes {@link always}. */
export function recordOf(lens: Lens, { portrait, parent, endTime, status }: Standing): WireProcess {
  const { uid, euid, gid, egid, sid, tty } = portrait.facts;
  return {
    pid: portrait.pid,
    ppid: parent?.pid ?? 0,
    ...infoOf(lens, portrait),
    uid,
    euid,
    gid,
    egid,
    sid,
    tty,
    startTime: portrait.startTime,
    ...(endTime === undefined ? {} : { endTime }),
    ...(status === undefined ? {} : { status }),
  };
}

/** The facts that a snapshot tells to those who ask for some beside. */
export function withAlways(include: Iterable<Include>): Include[] {
  return [...always, ...include];
}

/** Whether a program is shown: to who sees only their own, it is if they have begun it. */
function isProgramShown({ owner }: Lens, { begunBy }: { begunBy?: number | undefined }): boolean {
  return owner === undefined || begunBy === owner;
}

function isLinkShown({ owner }: Lens, { uid }: Link): boolean {
  return owner === undefined || uid === owner;
}

function commOf(lens: Lens, of: { comm: string; begunBy?: number | undefined }): string {
  return lens.names && isProgramShown(lens, of) ? of.comm : '';
}

/** What is told of a parent. */
export function parentOf(lens: Lens, link: Link): ProcessInfo {
  return { id: link.id, comm: commOf(lens, link), detail: isProgramShown(lens, link) ? link.detail : 'gone' };
}

/** A process of which nothing is known but its place. */
function nameless(process: Portrait): Subject {
  const { pid, cgroup, container, uid, user } = process;
  const isWithin = (id: string): boolean => process.isWithin(id);
  return { pid, comm: '', exe: undefined, args: undefined, cgroup, container, uid, user, isWithin };
}

/** What is told of a process. */
export function infoOf(lens: Lens, process: Portrait): ProcessInfo {
  const { include } = lens;
  const { id, facts } = process;
  const isProgramTold = isProgramShown(lens, facts);
  const info: Record<string, unknown> = {
    id,
    comm: commOf(lens, facts),
    detail: isProgramTold ? facts.detail : 'gone',
  };
  if (include.size === 0) return info as unknown as ProcessInfo;
  const add = (name: Include, value: unknown): void => {
    if (value !== undefined && include.has(name)) info[name] = value;
  };
  if (isProgramTold) {
    add('exe', facts.exe);
    add('args', facts.args);
    if (facts.argsTruncated === true && include.has('args')) info['argsTruncated'] = true;
    add('cwd', facts.cwd);
  }
  add('cgroup', facts.cgroup);
  add('container', facts.container);
  if (include.has('user')) add('user', process.user);
  if (include.has('ancestors')) {
    const own = ancestorsOf(process).filter((link) => isLinkShown(lens, link));
    info['ancestors'] = own.map((link) => ({ pid: link.pid, comm: commOf(lens, link) }));
  }
  return info as unknown as ProcessInfo;
}
