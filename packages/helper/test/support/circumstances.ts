/*
 * The circumstances of an event as values, as they are told in packed form.
 */
import type { Circumstances, KernelEvent } from '@procbus/protocol';
import { infoOf, parentOf, toldParentOf, type Lens } from '../../src/bus/view.ts';
import type { Portrait } from '../../src/processes/portrait.ts';

export function circumstancesOf(lens: Lens, event: KernelEvent, process: Portrait): Circumstances {
  const parent = toldParentOf(lens, event, process);
  return {
    process: infoOf(lens, process),
    ...(parent === undefined ? {} : { parent: parentOf(lens, parent) }),
    ...(event.type === 'exit' && event.pid === event.tid ? { runtime: process.age(event.kernelTime) } : {}),
    ...(event.synthetic === true ? { synthetic: true } : {}),
  };
}
