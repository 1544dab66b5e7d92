/*
 * Processes on their way to the wire, as they are told with events: packed by hand, as there is a new one with
 * nearly every event of a machine that is busy.
 */
import { pack } from './codec.ts';
import { Packer } from './packer.ts';
import type { Ancestor, ProcessInfo } from './process.ts';

type Key = keyof ProcessInfo | keyof Ancestor;

const keys: Readonly<Record<Key, Buffer>> = {
  id: pack('id'),
  comm: pack('comm'),
  detail: pack('detail'),
  exe: pack('exe'),
  args: pack('args'),
  argsTruncated: pack('argsTruncated'),
  cwd: pack('cwd'),
  cgroup: pack('cgroup'),
  container: pack('container'),
  user: pack('user'),
  ancestors: pack('ancestors'),
  pid: pack('pid'),
};

/** Those that may be left out and are texts, as far as they follow each other. */
const places = ['cwd', 'cgroup', 'container', 'user'] as const;

/** Used again and again. */
const packer = new Packer();

/** Packs what is told of a process. */
export function packProcess(info: ProcessInfo): Buffer {
  let count = 0;
  for (const key in info) if (info[key as keyof ProcessInfo] !== undefined) count++;
  packer.shortMap(count);
  text('id', info.id);
  text('comm', info.comm);
  text('detail', info.detail);
  if (count > 3) writeMore(info);
  const { length } = packer;
  const packed = Buffer.allocUnsafe(length);
  packer.copyTo(packed, 0, length);
  packer.dropBefore(length);
  return packed;
}

function writeMore(info: ProcessInfo): void {
  const { exe, args, argsTruncated, ancestors } = info;
  if (exe !== undefined) text('exe', exe);
  if (args !== undefined) {
    packer.packed(keys.args);
    packer.array(args.length);
    for (const argument of args) packer.text(argument);
  }
  if (argsTruncated !== undefined) {
    packer.packed(keys.argsTruncated);
    packer.true();
  }
  for (const key of places) {
    const value = info[key];
    if (value !== undefined) text(key, value);
  }
  if (ancestors !== undefined) {
    packer.packed(keys.ancestors);
    packer.array(ancestors.length);
    for (const { pid, comm } of ancestors) {
      packer.shortMap(2);
      packer.packed(keys.pid);
      packer.number(pid);
      text('comm', comm);
    }
  }
}

function text(key: Key, value: string): void {
  packer.packed(keys[key]);
  packer.text(value);
}
