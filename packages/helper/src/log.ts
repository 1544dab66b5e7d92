/*
 * The helper's log: lines on stderr, where people and systemd read it.
 */

/** Losses are logged in one line for all of this time, in ms: a storm must not become a log storm. */
const lossInterval = 10_000;

// A helper whose stderr is gone goes on serving.
process.stderr.on('error', () => undefined);

/** Writes one line. */
export function log(line: string): void {
  process.stderr.write(`procbusd: ${line}\n`);
}

let untoldLoss = 0;
let lossTimer: NodeJS.Timeout | undefined;

/** Logs what was lost in the kernel, if anything: the first time at once, from then on in sums. */
export function logLoss(lost: number | 'unknown'): void {
  if (lost === 'unknown') {
    log('the kernel had stopped telling events, as if another program had switched them off');
    return;
  }
  untoldLoss += lost;
  if (untoldLoss > 0 && lossTimer === undefined) logUntoldLoss();
}

function logUntoldLoss(): void {
  log(`lost ${untoldLoss} events that did not fit the kernel's queue; a larger --receive-buffer would help`);
  untoldLoss = 0;
  lossTimer = setTimeout(() => {
    lossTimer = undefined;
    if (untoldLoss > 0) logUntoldLoss();
  }, lossInterval).unref();
}
