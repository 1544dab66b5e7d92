/*
 * What a helper answers to `stats`: figures of the connection that asks and, where its grant allows it, of
 * the whole helper. `docs/protocol.md` is the specification.
 */
import type { EventType } from '@procbus/protocol';

/** The figures of one connection. */
export interface ConnectionStats {
  readonly uid: number;
  /** How many subscriptions are in force. */
  readonly subscriptions: number;
  /** Bytes that wait to be read by the client. */
  readonly queuedBytes: number;
  /** How long the oldest of them has waited, in s; 0 where nothing waits. */
  readonly lag: number;
  /** Events that were queued for the client. */
  readonly delivered: number;
  /** Events that were dropped, as the client did not read in time. */
  readonly lost: number;
}

/** One connection among all. */
export interface PeerStats extends ConnectionStats {
  readonly pid: number;
  /** How the client introduced itself; it may say anything. */
  readonly software: string;
}

/** The connections of one user, summed up. */
export interface UserStats {
  readonly uid: number;
  /** The name of the user, where there is one. */
  readonly user?: string;
  readonly connections: number;
  readonly subscriptions: number;
  readonly queuedBytes: number;
  /** The longest of them, in s. */
  readonly lag: number;
  /** Of the connections that there are; those that have gone are only in {@link HelperFigures.lost}. */
  readonly lost: number;
}

/** The figures of a helper. Counts are since it started. */
export interface HelperFigures {
  /** How long it has run, in s. */
  readonly uptime: number;
  /** Names this run; counts of different epochs do not compare. */
  readonly epoch: string;
  /** The last sequence number given out. */
  readonly seq: number;
  /** Events by type, synthetic ones too; types that have not occurred may be missing. */
  readonly received: Readonly<Partial<Record<EventType, number>>>;
  /** Events that the kernel dropped, and that were dropped for clients that read too slowly, also for those that have gone. */
  readonly lost: { readonly kernel: number; readonly queue: number };
  /** The types that the kernel lets through now, of processes and of single threads. */
  readonly kernelFilter: { readonly processes: readonly EventType[]; readonly threads: readonly EventType[] };
  /** How many processes it knows to live, and how many that have ended it remembers. */
  readonly processes: { readonly living: number; readonly ended: number };
  /**
   * At which priority programs are read while they run; null where no thread of its own does it; `off` where no grant
   * lets anybody be told of programs, so that none is read.
   */
  readonly programReader: 'real-time' | 'nice' | 'none' | 'off' | null;
  /** Which of CAP_NET_ADMIN and CAP_SYS_PTRACE it has in effect; a helper of an older version does not tell. */
  readonly capabilities?: readonly string[];
  /** Bytes that the kernel may queue. */
  readonly receiveBuffer: number;
  /** The events that can be told again. */
  readonly journal: {
    readonly events: number;
    readonly bytes: number;
    /** Bytes that it may take. */
    readonly limit: number;
    /** How far it reaches back, in s. */
    readonly seconds: number;
    /** The oldest cursor that a watch can begin at. */
    readonly oldest: string;
  };
  /** How late the helper comes to what is due, in ms, since anybody last asked; looked at ten times a second. */
  readonly eventLoopDelay: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Bytes that it occupies, and those of its JavaScript objects. */
  readonly memory: { readonly rss: number; readonly heapUsed: number };
  /** Time on the CPU, of all of its threads, in s. */
  readonly cpu: { readonly user: number; readonly system: number };
  /** One for each uid that is connected; of very many those with the most bytes queued. */
  readonly clients: readonly UserStats[];
  /** Of very many those with the most bytes queued. */
  readonly connections: readonly PeerStats[];
}

/** What a helper tells of itself. */
export interface HelperStats {
  /** Of the connection that asks. */
  readonly connection: ConnectionStats;
  /** Of the whole helper; missing where the grant does not allow it. */
  readonly helper?: HelperFigures;
}
