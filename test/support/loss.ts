import type { Loss } from '@procbus/protocol';

/** A hole that the kernel has torn, where nobody looks at the time. */
export function kernelLoss(from: number, to: number): Loss {
  return { where: 'kernel', count: to - from + 1, from, to, kernelTime: 1n, clockOffset: 0n };
}
