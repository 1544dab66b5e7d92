import { constants } from 'node:os';

/**
 * A decoded wait status, see wait(2): either the process called exit, and `exitCode` is set, or a
 * signal ended it, and `signal` and `coreDumped` are.
 */
export type WaitStatus =
  | { readonly exitCode: number; readonly signal?: never; readonly coreDumped?: never }
  | { readonly exitCode?: never; readonly signal: string; readonly coreDumped: boolean };

/** In the place of a {@link WaitStatus} where nobody saw the process end, or it lives. */
export interface UnknownStatus {
  readonly exitCode?: never;
  readonly signal?: never;
  readonly coreDumped?: never;
}

const signalNames = new Map<number, string>();
for (const [name, number] of Object.entries(constants.signals)) {
  // SIGIOT and SIGPOLL are second names of SIGABRT and SIGIO; the first one listed is the usual one.
  if (!signalNames.has(number)) signalNames.set(number, name);
}

/** Real-time signals, as glibc numbers them; the two before are its own. */
const firstRealTimeSignal = 34;
const lastRealTimeSignal = 64;

/** The name of a signal number, as in `SIGSEGV`. */
export function signalName(number: number): string {
  const name = signalNames.get(number);
  if (name !== undefined) return name;
  if (number === lastRealTimeSignal) return 'SIGRTMAX';
  if (number === firstRealTimeSignal) return 'SIGRTMIN';
  if (number > firstRealTimeSignal && number < lastRealTimeSignal) {
    return `SIGRTMIN+${number - firstRealTimeSignal}`;
  }
  return `SIG${number}`;
}

/** Decodes a raw wait status: 768 is exit 3, 139 is SIGSEGV with a core. */
export function decodeWaitStatus(status: number): WaitStatus {
  const signal = status & 0x7f;
  if (signal === 0) return { exitCode: (status >> 8) & 0xff };
  return { signal: signalName(signal), coreDumped: (status & 0x80) !== 0 };
}
