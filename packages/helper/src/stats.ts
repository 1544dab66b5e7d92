/*
 * What the helper tells of itself in answer to `stats`; `docs/protocol.md` lists the fields.
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { formatCursor, wireInteger, type EventType } from '@procbus/protocol';
import type { Interest } from './kernel/socket-filter.ts';
import type { Urgency } from './libc.ts';
import type { ConnectionFigures } from './peers/session.ts';
import { userName } from './processes/users.ts';

/** How late the event loop came to what was due, in ms. */
export interface Delays {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** The parts of the helper that have something to tell. */
export interface Parts {
  readonly connector: { readonly receiveBuffer: number };
  readonly reader: { readonly urgency: Urgency | 'off' | undefined };
  readonly table: { readonly size: { readonly living: number; readonly ended: number } };
  readonly broadcast: {
    readonly epoch: string;
    readonly seq: number;
    readonly received: ReadonlyMap<EventType, number>;
    /** Events that the kernel dropped. */
    readonly dropped: number;
    readonly interest: Interest;
    readonly journal: {
      /** `limit` is in bytes, too. */
      readonly size: { readonly events: number; readonly bytes: number; readonly limit: number };
      /** How far it reaches back, in s. */
      readonly seconds: number;
      readonly oldest: number;
    };
  };
  readonly server: {
    readonly connections: readonly ConnectionFigures[];
    /** Events that clients lost, also those that have gone. */
    readonly dropped: number;
  };
  readonly eventLoop: { takeDelays(): Delays };
}

/** Connections, and users, that are told of at most: all of it has to fit into one message. */
const peerLimit = 1000;
/** Characters of what a client says of itself at most. */
const softwareLength = 64;

/** Figures of the whole helper, for those who may see them. */
export function helperStats(parts: Parts): Record<string, unknown> {
  const { connector, reader, table, broadcast, server, eventLoop } = parts;
  const { journal } = broadcast;
  const { processes, threads } = broadcast.interest;
  const { connections } = server;
  const memory = process.memoryUsage();
  const cpu = process.cpuUsage();
  return {
    uptime: process.uptime(),
    epoch: broadcast.epoch,
    seq: wireInteger(broadcast.seq),
    received: Object.fromEntries([...broadcast.received].map(([type, count]) => [type, wireInteger(count)])),
    lost: { kernel: wireInteger(broadcast.dropped), queue: wireInteger(server.dropped) },
    kernelFilter: { processes: [...processes], threads: [...threads] },
    processes: table.size,
    programReader: reader.urgency ?? null,
    capabilities: capabilitiesOf(readFileSync('/proc/self/status', 'utf8')),
    receiveBuffer: wireInteger(connector.receiveBuffer),
    journal: {
      events: wireInteger(journal.size.events),
      bytes: wireInteger(journal.size.bytes),
      limit: wireInteger(journal.size.limit),
      seconds: journal.seconds,
      oldest: formatCursor({ epoch: broadcast.epoch, seq: journal.oldest }),
    },
    eventLoopDelay: eventLoop.takeDelays(),
    memory: { rss: wireInteger(memory.rss), heapUsed: wireInteger(memory.heapUsed) },
    cpu: { user: cpu.user / 1e6, system: cpu.system / 1e6 },
    clients: foremost(byUser(connections)).map(userStats),
    connections: foremost(connections).map(peerStats),
  };
}

/** The capabilities that a helper makes use of, and their numbers, see linux/capability.h. */
const useful = { CAP_NET_ADMIN: 12n, CAP_SYS_PTRACE: 19n };

/** Which of the useful capabilities are in effect, by what /proc/PID/status says. */
export function capabilitiesOf(status: string): string[] {
  const [, hex = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  const inEffect = BigInt(`0x${hex}`);
  return Object.entries(useful).flatMap(([name, bit]) => ((inEffect >> bit) & 1n ? [name] : []));
}

/** Figures of one connection, for itself. */
export function connectionStats(figures: ConnectionFigures): Record<string, unknown> {
  const { uid, subscriptions, queuedBytes, lag, delivered, lost } = figures;
  return {
    uid,
    subscriptions,
    queuedBytes: wireInteger(queuedBytes),
    lag,
    delivered: wireInteger(delivered),
    lost: wireInteger(lost),
  };
}

function peerStats(figures: ConnectionFigures): Record<string, unknown> {
  const { pid, software } = figures;
  return { pid, software: software.slice(0, softwareLength), ...connectionStats(figures) };
}

function userStats(sum: UserSum): Record<string, unknown> {
  return { ...sum, queuedBytes: wireInteger(sum.queuedBytes), lost: wireInteger(sum.lost) };
}

/** The connections of one user, summed up; `lag` is the longest. */
export interface UserSum {
  readonly uid: number;
  readonly user?: string;
  readonly connections: number;
  readonly subscriptions: number;
  readonly queuedBytes: number;
  readonly lag: number;
  readonly lost: number;
}

/** Sums connections up by uid, the lowest first. */
export function byUser(connections: readonly ConnectionFigures[]): UserSum[] {
  const sums = new Map<number, UserSum>();
  for (const { uid, subscriptions, queuedBytes, lag, lost } of connections) {
    const sum = sums.get(uid) ?? { connections: 0, subscriptions: 0, queuedBytes: 0, lag: 0, lost: 0 };
    sums.set(uid, {
      uid,
      connections: sum.connections + 1,
      subscriptions: sum.subscriptions + subscriptions,
      queuedBytes: sum.queuedBytes + queuedBytes,
      lag: Math.max(sum.lag, lag),
      lost: sum.lost + lost,
    });
  }
  return [...sums.values()].toSorted((a, b) => a.uid - b.uid).map(withName);
}

function withName(sum: UserSum): UserSum {
  const user = userName(sum.uid);
  return user === undefined ? sum : { ...sum, user };
}

/** What can be told of many: all or, of too many, those with the most bytes queued. */
function foremost<T extends { readonly queuedBytes: number }>(all: readonly T[]): readonly T[] {
  if (all.length <= peerLimit) return all;
  return all.toSorted((a, b) => b.queuedBytes - a.queuedBytes).slice(0, peerLimit);
}

/**
 * How often the event loop is looked at, in ms: each time wakes a helper that has nothing else to do. At 100 that
 * takes 0.08 % of a CPU, at 20 it would be 0.4 %.
 */
const resolution = 500;

/** Measures how late the event loop comes to what is due, from now on. It keeps no process alive. */
export class EventLoop {
  readonly #intervals = monitorEventLoopDelay({ resolution });

  constructor() {
    this.#intervals.enable();
  }

  /** The delays since the last call. Most of what is shorter than the resolution is not seen. */
  takeDelays(): Delays {
    const intervals = this.#intervals;
    const delays = {
      p50: delayOf(intervals.percentile(50)),
      p99: delayOf(intervals.percentile(99)),
      max: delayOf(intervals.max),
    };
    intervals.reset();
    return delays;
  }
}

/** What is recorded is the time between two looks, in ns. */
function delayOf(interval: number): number {
  return Math.max(0, interval / 1e6 - resolution);
}
