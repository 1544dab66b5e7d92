import { constants } from 'node:os';

/** The exit status that tells a shell which signal ended a command. */
export function signalStatus(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
