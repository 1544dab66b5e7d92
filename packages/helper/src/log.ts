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

/** Logs that the kernel dropped events: the first time at once, from then on in sums. */
export function logLoss(count: number): void {
  untoldLoss += count;
  if (lossTimer !== undefined) return;
  logUntoldLoss();
  lossTimer = setTimeout(() => {
    lossTimer = undefined;
    if (untoldLoss > 0) logLoss(0);
  }, lossInterval).unref();
}

function logUntoldLoss(): void {
  log(`lost ${untoldLoss} events that did not fit the kernel's queue; a larger --receive-buffer would help`);
  untoldLoss = 0;
}
