/*
 * The sections of the file: which keys each may have, and what they may be.
 */
import { eventTypes, grantedDetails, scopes } from '@procbus/protocol';
import * as libc from '../libc.ts';
import type { Rule } from '../peers/policy.ts';
import type { Limits } from '../peers/quota.ts';
import {
  bytes,
  integer,
  listOf,
  oneOf,
  onlyTrue,
  quoted,
  reader,
  readKeys,
  table,
  text,
  type Reader,
  type Values,
} from './readers.ts';
import type { Report, Table } from './toml.ts';

const KiB = 2 ** 10;
const GiB = 2 ** 30;

/** Bytes that the kernel may be asked to queue at most. */
export const receiveBufferLimit: number = GiB;

/** Ids of users and groups end before this: it means "none" to the kernel. */
const noId = 0xffff_ffff;

/** Permissions of a socket, as `0660` or `660`; undefined for anything else. */
export function parseMode(octal: string): number | undefined {
  return /^0?[0-7]{3}$/.test(octal) ? Number.parseInt(octal, 8) : undefined;
}

const path = text(`an absolute path of at most ${libc.maxUnixPath} bytes, in quotes`, (value) =>
  value.startsWith('/') && !value.includes('\0') && Buffer.byteLength(value) <= libc.maxUnixPath
    ? value
    : undefined,
);

const groupName: Reader<string> = (item, key, report) => {
  const name = text('the name of a group, in quotes', (value) => value)(item, key, report);
  if (name === undefined || libc.groupId(name) !== undefined) return name;
  report(item.place, `there is no group ${quoted(name)}`, creating('groupadd', name));
  return undefined;
};

const user = account('useradd', libc.userId);
const group = account('groupadd', libc.groupId);

/** The id of a user or a group, written as its name or as the id itself. */
function account(command: string, find: (name: string) => number | undefined): Reader<number> {
  const nameOrId = reader('a name in quotes, or an id', (item) =>
    (item.kind === 'string' && item.value !== '') ||
    (item.kind === 'integer' && item.value >= 0 && item.value < noId)
      ? item.value
      : undefined,
  );
  return (item, key, report) => {
    const named = nameOrId(item, key, report);
    if (typeof named !== 'string') return named;
    const id = find(named);
    if (id === undefined) {
      const remedy = /^[0-9]+$/.test(named)
        ? `Write ids without quotes: ${key} = ${named}`
        : creating(command, named);
      report(item.place, `there is no ${key} ${quoted(named)}`, remedy);
    }
    return id;
  };
}

function creating(command: string, name: string): string | undefined {
  return /^[a-z_][\w.-]*$/i.test(name) ? `Create it with: ${command} --system ${name}` : undefined;
}

const count = integer(1, 1_000_000_000);
/** Less would not even hold an ordinary batch of events. */
const queue = bytes(64 * KiB, 64 * GiB);

const limits = {
  connections: count,
  subscriptions: count,
  'queued-bytes': queue,
  'requests-per-second': count,
  'work-per-second': count,
};

const socketSection = table('[socket]', {
  path,
  group: groupName,
  mode: text('permissions such as "0660", in quotes', parseMode),
});
const kernelSection = table('[kernel]', { 'receive-buffer': bytes(1, receiveBufferLimit) });
const journalSection = table('[journal]', { size: bytes(0, GiB) });
const limitsSection = table('[limits]', { ...limits, outbox: queue });
const grantSection = table('[[grant]]', {
  user,
  group,
  everyone: onlyTrue,
  scope: oneOf(scopes),
  detail: oneOf(grantedDetails),
  events: listOf(oneOf(eventTypes)),
  stats: oneOf(scopes),
  limits: table('limits in a [[grant]]', limits),
});

/** Reads one grant. */
const grant: Reader<Rule> = (item, key, report) => {
  const values = grantSection(item, key, report);
  if (values === undefined || item.kind !== 'table') return undefined;
  checkWho(item, report);
  const scope = values.scope ?? 'all';
  const { events } = values;
  return {
    who: whoOf(values),
    scope,
    detail: values.detail ?? 'args',
    events: events === undefined ? eventTypes : eventTypes.filter((type) => events.includes(type)),
    stats: values.stats ?? scope,
    limits: limitsOf(values.limits ?? {}),
  };
};

const grants: Reader<readonly Rule[]> = (item, key, report) => {
  if (item.kind !== 'table') return listOf(grant)(item, key, report);
  report(item.place, 'a grant begins with [[grant]], as there may be several');
  return undefined;
};

function whoOf({ user: uid, group: gid }: { user?: number; group?: number }): Rule['who'] {
  if (uid !== undefined) return { user: uid };
  return gid !== undefined ? { group: gid } : 'everyone';
}

/** A grant is for exactly one user or group, or for everyone. */
function checkWho({ place, entries }: Table, report: Report): void {
  const [first, ...others] = [...entries.keys()].filter((key) => ['user', 'group', 'everyone'].includes(key));
  if (first === undefined) report(place, 'this [[grant]] is for nobody: it needs user, group or everyone');
  for (const other of others) {
    report(
      entries.get(other)?.place ?? place,
      `this [[grant]] has ${first} and ${other}, and may have one of them`,
      'Write a [[grant]] for each.',
    );
  }
}

const sections = {
  socket: socketSection,
  kernel: kernelSection,
  journal: journalSection,
  limits: limitsSection,
  grant: grants,
};

/** What the file says, by the names that the helper has for it; only what is there. */
export interface Sections {
  readonly socket: { readonly path?: string; readonly group?: string; readonly mode?: number };
  readonly kernel: { readonly receiveBuffer?: number };
  readonly journal: { readonly size?: number };
  readonly limits: Partial<Limits & { readonly outbox: number }>;
  readonly rules?: readonly Rule[];
}

/** Reads all sections, and reports all that is wrong with any of them. */
export function readSections(root: Table, report: Report): Sections {
  const values = readKeys(root, sections, report, (unknown) => ({
    message: `there is no section ${unknown}`,
    remedy: 'The sections are [socket], [kernel], [journal], [limits] and [[grant]].',
  }));
  return {
    socket: values.socket ?? {},
    kernel: present({ receiveBuffer: values.kernel?.['receive-buffer'] }),
    journal: values.journal ?? {},
    limits: { ...limitsOf(values.limits ?? {}), ...present({ outbox: values.limits?.outbox }) },
    ...present({ rules: values.grant }),
  };
}

function limitsOf(values: Values<typeof limits>): Partial<Limits> {
  return present({
    connections: values.connections,
    subscriptions: values.subscriptions,
    queuedBytes: values['queued-bytes'],
    requestsPerSecond: values['requests-per-second'],
    workPerSecond: values['work-per-second'],
  });
}

/** What there is of some values: defaults must not be overwritten with nothing. */
function present<T extends object>(values: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
