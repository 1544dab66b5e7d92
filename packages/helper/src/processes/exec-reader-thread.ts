/*
 * A thread of the exec reader: waits for execs, and reads what was begun before it is over.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { KernelEvent } from '@procbus/protocol';
import { Connector } from '../kernel/connector.ts';
import type { CpuShare } from '../kernel/socket-filter.ts';
import { hurry, stayOn, waitReadable } from '../libc.ts';
import { readImage } from './facts.ts';
import type { ReaderData, ReaderReady } from './exec-reader.ts';
import { ImageRing } from './image-ring.ts';
import { readRaw } from './procfs.ts';

/** Reads until told to stop. */
function run({ memory, share, stop }: ReaderData): void {
  const ring = new ImageRing(memory);
  const connector = new Connector();
  connector.setInterest({ processes: new Set(['exec']), threads: new Set() }, share);
  stayOn(maskOf(share));
  // Code that has run is compiled, and some times faster: in time for the first program.
  for (let round = 0; round < 300; round++) readImage(process.pid);
  const ready: ReaderReady = { urgency: hurry() };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- this is no window
  parentPort?.postMessage(ready);
  while (waitReadable(connector.fd, stop) !== stop) {
    for (let execs = drain(connector); execs.length > 0; execs = drain(connector)) {
      execs.forEach(({ pid, kernelTime }, index) => {
        const isLast = !execs.slice(index + 1).some((later) => later.pid === pid);
        // Else it has begun another program since, and it is too late for this one.
        ring.write(pid, kernelTime, isLast ? readRaw : () => undefined);
      });
    }
  }
  connector.close();
}

/** A bit for each CPU of a share, of as many as Linux can have. */
function maskOf({ index, of }: CpuShare): Uint8Array {
  const mask = new Uint8Array(1024);
  for (let cpu = index; cpu < 8 * mask.length; cpu += of) {
    mask[cpu >> 3] = (mask[cpu >> 3] as number) | (1 << (cpu & 7));
  }
  return mask;
}

function drain(connector: Connector): KernelEvent[] {
  const events: KernelEvent[] = [];
  connector.drain(events, 512);
  return events.filter(({ type }) => type === 'exec');
}

run(workerData as ReaderData);
