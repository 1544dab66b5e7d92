/*
 * What the figures of a helper say: what was lost, and how much there is room for. Any of them may be
 * missing where the helper is of another version.
 */
import type { HelperFigures } from '../../stats.ts';
import { formatDuration } from '../duration.ts';
import { formatBytes, formatCount, formatShare } from '../quantity.ts';
import type { Check, Status } from './check.ts';

/** As much as is told of a helper. */
export type Told = Partial<HelperFigures>;

/** What to do after a change of the configuration. */
const restart = 'then: systemctl restart procbus';

const configuration = '/etc/procbus/procbusd.toml';

/** How long the helper has run. */
export function checkUptime({ uptime }: Told): Check {
  return uptime === undefined
    ? untold('uptime')
    : { name: 'uptime', status: 'ok', what: formatDuration(uptime) };
}

/** What the kernel had to drop. */
export function checkKernelQueue({ lost, received, receiveBuffer }: Told): Check {
  const name = 'kernel-queue';
  if (lost === undefined || received === undefined) return untold(name);
  const arrived = Object.values(received).reduce((sum, count) => sum + count, 0);
  const room = receiveBuffer === undefined ? '' : ` of ${formatBytes(receiveBuffer)}`;
  if (lost.kernel === 0) {
    return { name, status: 'ok', what: `${formatCount(arrived)} events have come, and none was lost` };
  }
  const share = (100 * lost.kernel) / (arrived + lost.kernel);
  return {
    name,
    status: 'warn',
    what: `${formatCount(lost.kernel)} events did not fit the kernel's queue${room}: ${formatPercent(share)} of all`,
    remedy: `Set a larger receive-buffer in [kernel] of ${configuration}; ${restart}`,
  };
}

/** What had to be dropped for clients. */
export function checkClientQueues({ lost, clients }: Told): Check {
  const name = 'client-queues';
  if (lost === undefined || clients === undefined) return untold(name);
  const queued = clients.reduce((sum, user) => sum + user.queuedBytes, 0);
  const connections = clients.reduce((sum, user) => sum + user.connections, 0);
  const now = `${formatBytes(queued)} wait for ${connections === 1 ? '1 client' : `${formatCount(connections)} clients`}`;
  if (lost.queue === 0) return { name, status: 'ok', what: `${now}, and none has lost events` };
  return {
    name,
    status: 'warn',
    what: `${formatCount(lost.queue)} events were dropped for clients that read too slowly; ${now}`,
    remedy: 'See who is slow: procbus stats; a filter would help them, or a larger outbox in [limits].',
  };
}

/** What an event takes in the kernel's queue, in bytes. */
const bytesPerEvent = 832;
/** A queue that a burst of processes fills in no time, in bytes. */
const tooSmall = 2 ** 20;

/**
 * How much the kernel may queue.
 *
 * @param rmemMax - net.core.rmem_max, in bytes, where it can be read
 */
export function checkReceiveBuffer(
  { receiveBuffer, capabilities }: Told,
  rmemMax: number | undefined,
): Check {
  const name = 'receive-buffer';
  if (receiveBuffer === undefined) return untold(name);
  const events = Number(Math.floor(receiveBuffer / bytesPerEvent).toPrecision(2));
  const what = `${formatBytes(receiveBuffer)}, room for about ${formatCount(events)} events`;
  // The kernel doubles what is asked for, and with CAP_NET_ADMIN it does not look at its limit.
  const isClipped =
    rmemMax !== undefined &&
    receiveBuffer === 2 * rmemMax &&
    capabilities !== undefined &&
    !capabilities.includes('CAP_NET_ADMIN');
  if (isClipped) {
    return {
      name,
      status: 'warn',
      what: `${what}: no more than net.core.rmem_max, ${formatBytes(rmemMax)}, lets a helper without CAP_NET_ADMIN have`,
      remedy: 'Give procbusd CAP_NET_ADMIN, or raise the limit: sudo sysctl net.core.rmem_max=67108864',
    };
  }
  if (receiveBuffer >= tooSmall) return { name, status: 'ok', what };
  return {
    name,
    status: 'warn',
    what: `${what}, which one busy moment fills`,
    remedy: `Set a larger receive-buffer in [kernel] of ${configuration}, or none, for 64 MiB; ${restart}`,
  };
}

/** A full journal that reaches back less, in s, does not bridge a restart for certain. */
const shortSpan = 60;

/** How far the past reaches. */
export function checkJournal({ journal }: Told): Check {
  const name = 'journal';
  if (journal === undefined) return untold(name);
  const { bytes, limit, events, seconds } = journal;
  if (limit === 0) {
    return { name, status: 'ok', what: 'switched off: who connects again is told of what is lost' };
  }
  const what = `${formatShare(bytes, limit)}, ${formatCount(events)} events, reaching back ${formatDuration(seconds)}`;
  // While it is not full, it reaches back to when there was anything to keep.
  if (bytes < 0.9 * limit || seconds >= shortSpan) return { name, status: 'ok', what };
  return {
    name,
    status: 'warn',
    what: `${what}: who is away for longer loses events`,
    remedy: `Set a larger size in [journal] of ${configuration}; ${restart}`,
  };
}

/** At which priority programs are read while they run. */
export function checkReaders({ programReader }: Told): Check {
  const name = 'readers';
  if (programReader === undefined) return untold(name);
  const [status, what] = readers[programReader ?? 'null'] ?? (['skip', programReader] as [Status, string]);
  return status === 'warn'
    ? {
        name,
        status,
        what,
        remedy:
          'Give procbusd LimitRTPRIO=1, as its unit does. If it has that, or is root, its cgroup has no real-time share: see cpu.rt_runtime_us.',
      }
    : { name, status, what };
}

const readers: Readonly<Record<string, readonly [Status, string]>> = {
  'real-time': ['ok', 'programs are read at real-time priority'],
  nice: ['warn', 'programs are read at nice -20: under load, some that end at once are told as gone'],
  none: ['warn', 'programs are read at no priority: under load, many that end at once are told as gone'],
  off: ['ok', 'no grant tells anybody of programs, so none is read'],
  null: ['warn', 'programs are read by the main thread: many that end at once are told as gone'],
};

const purposes = {
  CAP_NET_ADMIN: 'the kernel bounds its queue by net.core.rmem_max',
  CAP_SYS_PTRACE: "path and working directory of other users' programs stay untold",
} as const;

/** What the helper may do. */
export function checkPrivileges({ capabilities }: Told): Check {
  const name = 'privileges';
  if (capabilities === undefined) return untold(name);
  const all = Object.entries(purposes);
  const lacking = all.filter(([capability]) => !capabilities.includes(capability));
  if (lacking.length === 0) {
    return {
      name,
      status: 'ok',
      what: `the helper has ${all.map(([capability]) => capability).join(' and ')}`,
    };
  }
  const names = lacking.map(([capability]) => capability);
  return {
    name,
    status: 'warn',
    what: `the helper lacks ${names.join(' and ')}: ${lacking.map(([, purpose]) => purpose).join('; ')}`,
    remedy: `Give it AmbientCapabilities=${names.join(' ')} in its unit, or run it as root.`,
  };
}

function untold(name: string): Check {
  return { name, status: 'skip', what: 'this helper does not tell' };
}

function formatPercent(percent: number): string {
  return percent < 0.1 ? 'less than 0.1 %' : `${percent.toFixed(1)} %`;
}
