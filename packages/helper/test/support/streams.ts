/*
 * Streams of all kinds: what a few processes of a few users do, who asks for it, and what they may see.
 */
import {
  eventTypes,
  grantedDetails,
  includes,
  scopes,
  tells,
  type Conditions,
  type FilterRequest,
  type Grant,
  type KernelEvent,
} from '@procbus/protocol';
import * as fc from 'fast-check';
import type { Asker } from '../../src/bus/selection.ts';
import type { Batch } from '../../src/kernel/kernel-stream.ts';
import type { Image } from '../../src/processes/process.ts';
import type { Proc } from '../../src/processes/process-table.ts';

/** Users that there are. */
export const uids = [0, 1000, 1001] as const;
/** Pids of processes. */
const pids = [2, 3, 4, 5, 6, 7] as const;

/** The processes of these pids, each the child of the one before and begun by one of the users. */
export const family: readonly KernelEvent[] = pids.flatMap((one, nth): KernelEvent[] => {
  const at = { kernelTime: 2n ** 59n + BigInt(1000 * nth), cpu: 0, pid: one, tid: one };
  const user = uids[nth % 3] ?? 0;
  return [
    { type: 'fork', ...at, ppid: one - 1, ptid: one - 1 },
    { type: 'uid', ...at, uid: user, euid: user },
    { type: 'exec', ...at },
  ];
});

const uid = fc.constantFrom(...uids);
const pid = fc.constantFrom(...pids);
const stamp = { cpu: fc.nat(3), pid, kernelTime: fc.constant(0n) };
/** Now and then that of a thread. */
const tid = fc.option(fc.constant(99), { freq: 5, nil: undefined });
const ofThread = { ...stamp, tid };

type Untimed = Omit<KernelEvent, 'tid'> & { readonly tid?: number | undefined };

const untimed: fc.Arbitrary<Untimed> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('fork' as const), ...ofThread, ppid: pid, ptid: pid }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('exec' as const), ...stamp }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('exit' as const),
      ...ofThread,
      status: fc.constantFrom(0, 9, 256),
      ppid: pid,
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('uid' as const), ...ofThread, uid, euid: uid }) },
  fc.record({ type: fc.constant('gid' as const), ...stamp, gid: uid, egid: uid }),
  fc.record({ type: fc.constant('sid' as const), ...stamp }),
  fc.record({ type: fc.constant('ptrace' as const), ...ofThread, tracerPid: pid, tracerTid: pid }),
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('comm' as const),
      ...ofThread,
      comm: fc.constantFrom('a', 'b', 'c'),
    }),
  },
  fc.record({ type: fc.constant('coredump' as const), ...ofThread, ppid: pid }),
);

/** What is published in one go. */
export interface Publication {
  readonly events: readonly KernelEvent[];
  readonly lost: Batch['lost'];
}

const lost = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 1, arbitrary: fc.constant('unknown' as const) },
);

/** Some publications, one behind the other; their times are in order, and far ahead of any real clock. */
export function publications(maxLength: number): fc.Arbitrary<Publication[]> {
  const publication = fc.record({ events: fc.array(untimed, { maxLength: 12 }), lost });
  return fc.array(publication, { maxLength, size: 'max' }).map((all) => {
    let time = 2n ** 60n;
    return all.map(({ events, lost: count }) => ({
      lost: count,
      events: events.map(
        (event) =>
          ({ ...event, tid: event.tid ?? event.pid, kernelTime: (time += 1_000_001_000n) }) as KernelEvent,
      ),
    }));
  });
}

/** Programs that are begun by anybody, more or less read, told by the time of their exec. */
export const programs: Pick<Proc, 'imageOf'> = {
  imageOf: ({ kernelTime }): Image => {
    const nth = Number((kernelTime / 1_000n) % 1000n);
    if (nth % 7 === 0) return { comm: '', detail: 'gone' };
    const comm = `p${nth}`;
    const begunBy = uids[nth % 4];
    const cgroup = nth % 2 === 0 ? `/c${nth}` : undefined;
    if (nth % 5 === 0) return { comm, begunBy, cgroup, detail: 'partial' };
    const container = nth % 3 === 0 ? 'f00d' : undefined;
    const argsTruncated = nth % 11 === 0 ? true : undefined;
    return {
      comm,
      exe: `/bin/${comm}`,
      args: [comm, '-x'],
      argsTruncated,
      cwd: '/',
      cgroup,
      container,
      begunBy,
      detail: 'complete',
    };
  },
};

/** Anything that somebody may see. */
export const grant: fc.Arbitrary<Grant> = fc.record({
  scope: fc.constantFrom(...scopes),
  detail: fc.constantFrom(...grantedDetails),
  events: fc.subarray([...eventTypes], { minLength: 1 }),
});

/** Anybody who asks. */
export const asker: fc.Arbitrary<Asker> = fc.record({ uid, grant });

const conditions = {
  pids: fc.subarray([...pids], { minLength: 1 }),
  uids: fc.subarray([...uids], { minLength: 1 }),
  comm: fc.constantFrom(['?*'], ['p*'], ['a', 'b']),
  exe: fc.constantFrom(['*'], ['*1*']),
  args: fc.constant(['*-x*']),
  container: fc.constantFrom(['any'], ['none'], ['f0']),
  exit: fc.constantFrom(['failed' as const], [0]),
  minRuntime: fc.constantFrom(0, 5),
};

/** At most two of them, as hardly anything fulfils many. */
const someConditions: fc.Arbitrary<Conditions> = fc
  .subarray(Object.keys(conditions) as (keyof typeof conditions)[], { maxLength: 2 })
  .chain((fields) => {
    const some = Object.fromEntries(fields.map((field) => [field, conditions[field]]));
    return fc.record(some) as fc.Arbitrary<Conditions>;
  });

const rest = {
  events: fc.subarray([...eventTypes], { minLength: 1 }),
  threads: fc.boolean(),
  include: fc.subarray([...includes]),
};

/** Whatever somebody can ask for without conditions. */
export const plainRequest: fc.Arbitrary<FilterRequest> = fc.record(rest, { requiredKeys: [] });

/** Whatever somebody can ask for. */
export const request: fc.Arbitrary<FilterRequest> = fc
  .tuple(plainRequest, someConditions, fc.option(someConditions, { nil: undefined }))
  .map(([plain, where, not]) => Object.assign({}, plain, where, not === undefined ? {} : { not }));

/** A request without the conditions that are refused. */
export function allowed({ not, ...filter }: FilterRequest, { detail }: Grant): FilterRequest {
  const within = <Given extends object>(given: Given): Given =>
    Object.fromEntries(
      Object.entries(given).filter(([field]) => field === 'include' || tells(detail, field as 'comm')),
    ) as Given;
  return { ...within(filter), ...(not === undefined ? {} : { not: within(not) }) };
}
