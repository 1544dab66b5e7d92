/*
 * procbusd as a service of systemd, or of whatever speaks its protocols; without one, all of this does nothing.
 *
 * Idea: what has to outlive a process, the service manager keeps (FileDescriptorStoreMax=), and gives it to the next
 * one. It is told that we live only if we do: by a timer of the event loop, and only where we hear the kernel.
 */
import { monotonicTime } from '../libc.ts';
import { log } from '../log.ts';
import { takeInherited } from './listen-fds.ts';
import { Notifier } from './notify.ts';

/** ms between two looks at what there is to tell. */
const statusInterval = 5000;

/** What a service shows of itself while it runs. */
export interface Vitals {
  /** Whether we do what we are here for, and have done so within the last `ms`. */
  isAlive(ms: number): boolean;
  /** One line for people. */
  status(): string;
}

export class Service {
  /** A socket to listen on. */
  readonly listening: number | undefined;
  readonly #kept: Map<string, number>;
  readonly #notifier: Notifier;
  /** ms after which we are taken for dead, unless we have said something. */
  readonly #patience: number | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  #status = '';

  /**
   * Takes what is meant for us out of the environment.
   *
   * @param names - those that something may have been kept under
   * @throws ProcbusError `activation`
   */
  constructor(env: NodeJS.ProcessEnv, names: readonly string[]) {
    this.#notifier = new Notifier(env);
    this.#patience = patienceOf(env);
    const { listening, kept } = takeInherited(env, new Set(names));
    this.listening = listening;
    this.#kept = new Map(kept);
  }

  /** Whether somebody may keep something for the next process. */
  get keeps(): boolean {
    return this.#notifier.isHeard;
  }

  /** Takes what an earlier process had kept, if it is there. */
  takeKept(name: string): number | undefined {
    const fd = this.#kept.get(name);
    this.#kept.delete(name);
    return fd;
  }

  /** Has a descriptor kept for the next process. */
  keep(name: string, fd: number): void {
    // Not dropped either when there is nothing more to be read of it.
    this.#notifier.tell(['FDSTORE=1', `FDNAME=${name}`, 'FDPOLL=0'], fd);
  }

  /** Has all that was kept under a name closed. */
  forget(name: string): void {
    this.#notifier.tell(['FDSTOREREMOVE=1', `FDNAME=${name}`]);
  }

  /** Begins to tell how we are. */
  ready(vitals: Vitals): void {
    this.#status = vitals.status();
    this.#notifier.tell(['READY=1', `STATUS=${this.#status}`]);
    if (!this.#notifier.isHeard) return;
    this.#timers.push(setInterval(() => this.#tellStatus(vitals), statusInterval).unref());
    if (this.#patience === undefined) return;
    const interval = this.#patience / 2;
    this.#timers.push(setInterval(() => this.#tellAlive(vitals, interval), interval).unref());
  }

  /** The configuration is read again, by `read`. */
  reload(read: () => void): void {
    // systemd holds it against the time at which it asked.
    this.#notifier.tell(['RELOADING=1', `MONOTONIC_USEC=${monotonicTime() / 1000n}`]);
    read();
    this.#notifier.tell(['READY=1']);
  }

  stopping(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#notifier.tell(['STOPPING=1', 'STATUS=Stopping']);
  }

  #tellStatus(vitals: Vitals): void {
    const status = vitals.status();
    if (status !== this.#status) this.#notifier.tell([`STATUS=${status}`]);
    this.#status = status;
  }

  #tellAlive(vitals: Vitals, interval: number): void {
    if (vitals.isAlive(interval)) {
      this.#notifier.tell(['WATCHDOG=1']);
    } else {
      log('the kernel tells nothing any more, not even of ourselves; the service manager may try again');
      this.#notifier.tell(['WATCHDOG=trigger']);
    }
  }
}

/** See sd_watchdog_enabled(3). */
function patienceOf(env: NodeJS.ProcessEnv): number | undefined {
  const { WATCHDOG_PID, WATCHDOG_USEC } = env;
  for (const name of ['WATCHDOG_PID', 'WATCHDOG_USEC']) delete env[name];
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(process.pid)) return undefined;
  const ms = Number(WATCHDOG_USEC) / 1000;
  return ms > 0 ? ms : undefined;
}
