/** What a helper tells of itself; `docs/protocol.md` says what each field means. */
export interface HelperStats {
  readonly uptime: number;
  readonly clients: number;
  readonly subscriptions: number;
  readonly seq: number;
  readonly received: Readonly<Record<string, number>>;
  readonly lost: { readonly kernel: number; readonly queue: number };
  readonly kernelFilter: { readonly processes: readonly string[]; readonly threads: readonly string[] };
  /** How many processes the helper knows to live, and how many that have ended it remembers. */
  readonly processes: { readonly living: number; readonly ended: number };
  /** At which priority programs are read while they run; null where no thread of its own does it. */
  readonly programReader: 'real-time' | 'nice' | 'none' | null;
  readonly receiveBuffer: number;
  readonly rss: number;
}
