/*
 * The program of a process: what an exec and a new name change, and whose program it is.
 *
 * Idea: a program belongs to the real user who began it, and what it is called and was given is told to no other
 * one. So wherever what was read, or is kept, may come of a program that somebody else had begun, nobody is
 * named: who may see only their own sees less then, and never more.
 */
import type { KernelEvent } from '@procbus/protocol';
import type { Facts, Image, Process } from './process.ts';

/** The facts of a process that was forked by another one at a time. */
export function inherited({ facts, readAt }: Process, kernelTime: bigint): Facts {
  // That one may have begun another program since.
  return kernelTime >= readAt ? facts : { ...facts, begunBy: undefined };
}

/** The facts of a process that begins a program; where that could not be read in time, most likely it is as it was. */
export function begun({ facts, readAt }: Process, { kernelTime }: KernelEvent, image: Image): Facts {
  const { uid, euid, gid, egid, sid, tty } = facts;
  const { exe, args, argsTruncated, detail } = image;
  const isRead = detail !== 'gone' || image.cwd !== undefined;
  const keepsOld = !isRead || image.comm === '' || (image.cwd === undefined && facts.cwd !== undefined);
  const comm = image.comm === '' ? facts.comm : image.comm;
  const cwd = image.cwd ?? facts.cwd;
  const { cgroup, container } = image.cgroup === undefined ? facts : image;
  // What was read late may be of another program already; and so may what is kept.
  const isOwn = (!isRead || image.begunBy === uid) && (!keepsOld || facts.begunBy === uid);
  // The user is that of now, where /proc told it behind the event.
  const isCertain =
    kernelTime >= readAt || (facts.begunBy === uid && isSame({ comm, exe, args, cwd }, facts));
  const begunBy = isOwn && isCertain ? uid : undefined;
  // Written out, as objects that are spread over each other take several times as long.
  return {
    comm,
    exe,
    args,
    argsTruncated,
    cwd,
    cgroup,
    container,
    begunBy,
    detail,
    uid,
    euid,
    gid,
    egid,
    sid,
    tty,
  };
}

/** The facts of a process once it, or one of its threads, has another name. */
export function renamed(
  { facts, readAt, isInDoubt }: Process,
  { kernelTime, pid, tid, comm }: KernelEvent & { type: 'comm' },
): Facts {
  // It may be the name of an earlier program, or of one that nobody told of.
  const isCertain = (kernelTime >= readAt && !isInDoubt) || comm === facts.comm;
  const begunBy = isCertain ? facts.begunBy : undefined;
  if (pid === tid) return { ...facts, comm, begunBy };
  return begunBy === facts.begunBy ? facts : { ...facts, begunBy };
}

/** What tells one program from another. */
type Program = Pick<Image, 'comm' | 'exe' | 'args' | 'cwd'>;

function isSame(one: Program, other: Program): boolean {
  const isSameFile = one.comm === other.comm && one.exe === other.exe && one.cwd === other.cwd;
  return isSameFile && one.args?.join('\0') === other.args?.join('\0');
}
