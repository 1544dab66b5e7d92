/*
 * SIGHUP: an administrator asks to read the configuration again; or the terminal has gone, and with it
 * whoever ran the helper by hand.
 */
import { closeSync, openSync } from 'node:fs';

/**
 * Calls back for each SIGHUP.
 *
 * @param onReload - the configuration is to be read again
 * @param onGone - the terminal has gone
 */
export function onHangup(onReload: () => void, onGone: () => void): void {
  const hadTerminal = hasTerminal();
  process.on('SIGHUP', () => (hadTerminal && !hasTerminal() ? onGone() : onReload()));
}

/** Whether there is a terminal that controls us; see tty(4). */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}
