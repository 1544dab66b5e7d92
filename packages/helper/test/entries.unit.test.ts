import type { KernelEvent, Loss } from '@procbus/protocol';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { kernelEvent } from '../../protocol/test/arbitraries.ts';
import { Entries, numberOf, type Entry } from '../src/bus/entries.ts';
import { Process } from '../src/processes/process.ts';
import { plainFacts } from './support/bus.ts';

const process = new Process(7, 1n, plainFacts).portrait;
const seq = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

/** An event that was told, was found out later, or changed a user. */
function momentOf(number: number, event: KernelEvent, isSynthetic: boolean, formerUid: number | null): Entry {
  if (!isSynthetic) return { seq: number, event, process, ...formerOf(event, formerUid) };
  const found = { ...event, synthetic: true as const, cpu: -1 };
  // Nobody saw the status.
  if (found.type === 'exit') Reflect.deleteProperty(found, 'status');
  return { seq: number, event: found, process };
}

function formerOf({ type }: KernelEvent, formerUid: number | null): { formerUid?: number } {
  return type === 'uid' && formerUid !== null ? { formerUid } : {};
}

const moment: fc.Arbitrary<Entry> = fc
  .tuple(seq, kernelEvent, fc.boolean(), fc.option(fc.integer({ min: -1, max: 0xffff_ffff })))
  .map((parts) => momentOf(...parts));

const loss: fc.Arbitrary<Loss> = seq.map((to) => ({
  where: 'kernel',
  count: 1,
  from: to,
  to,
  kernelTime: BigInt(to),
  clockOffset: -1n,
}));

test('entries come back as they were, in order, whatever has made way', () => {
  const step = fc.oneof({ weight: 3, arbitrary: moment }, loss, fc.constant('shift' as const));
  fc.assert(
    fc.property(fc.array(step, { size: 'max', maxLength: 300 }), fc.nat(2000), (steps, before) => {
      const entries = new Entries();
      const model: Entry[] = [];
      // So that they do not all lie on the first page.
      const filler: Entry = {
        seq: 0,
        event: { type: 'sid', kernelTime: 0n, cpu: 0, pid: 7, tid: 7 },
        process,
      };
      for (let at = 0; at < before; at++) entries.push(filler);
      for (let at = 0; at < before; at++) entries.shift();
      for (const next of steps) {
        if (next !== 'shift') {
          entries.push(next);
          model.push(next);
        } else if (model.shift() !== undefined) {
          entries.shift();
        }
      }
      expect(entries.length).toBe(model.length);
      expect(model.map((_, at) => entries.get(at))).toEqual(model);
      expect(model.map((_, at) => entries.numberAt(at))).toEqual(model.map(numberOf));
      expect(model.map((_, at) => entries.processAt(at))).toEqual(
        model.map((entry) => ('where' in entry ? undefined : process)),
      );
      expect(model.map((_, at) => entries.timeAt(at))).toEqual(
        model.map((entry) => ('where' in entry ? entry.kernelTime : entry.event.kernelTime)),
      );
    }),
    { numRuns: 200 },
  );
});
