/*
 * Which helper a command talks to: the machine's own, or else a private one.
 */
import { lstatSync } from 'node:fs';
import type { Bus } from '../bus.ts';
import { connect, socketPath, type ConnectOptions } from '../connect.ts';

/** A connection, and in words what is at its other end. */
export interface OpenBus {
  readonly bus: Bus;
  readonly helper: string;
}

/** To be said below the options of a command with `--socket`. */
export const helperHelp =
  'Without --socket it connects to $PROCBUS_SOCKET or /run/procbus/procbus.sock, and where there is none it starts a private helper.';

/**
 * Connects to `socket`, or to the machine's helper, or to a private one if there is no socket.
 *
 * @param onConnection - told when the helper has gone, and is back; without it the bus ends with its connection
 * @throws ProcbusError as {@link connect} and `startEmbedded`
 */
export async function openBus(
  socket: string | undefined,
  signal: AbortSignal,
  onConnection?: ConnectOptions['onConnection'],
): Promise<OpenBus> {
  const path = socket ?? socketPath();
  if (socket === undefined && !exists(path)) {
    // Seldom needed, and node:child_process comes with it.
    const { startEmbedded } = await import('../embedded.ts');
    const bus = await startEmbedded(signal);
    return { bus, helper: `a private helper, for there is none at ${path}` };
  }
  const reconnect = onConnection !== undefined;
  return {
    bus: await connect({ socket: path, signal, reconnect, onConnection }),
    helper: `the helper at ${path}`,
  };
}

function exists(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true; // It cannot be looked at; connecting will say why.
  }
}
