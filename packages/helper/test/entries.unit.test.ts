import type { Loss } from '@procbus/protocol';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { kernelEvent } from '../../protocol/test/arbitraries.ts';
import { Entries, numberOf, type Entry } from '../src/bus/entries.ts';
import { Process } from '../src/processes/process.ts';
import { plainFacts } from './support/bus.ts';

const process = new Process(7, 1n, plainFacts).portrait;
const seq = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

const moment: fc.Arbitrary<Entry> = fc
  .record({
    seq,
    event: kernelEvent,
    isSynthetic: fc.boolean(),
    isSeen: fc.boolean(),
    formerUid: fc.option(fc.integer({ min: -1, max: 0xffff_ffff })),
  })
  .map(({ seq: number, event, isSynthetic, isSeen, formerUid }) => {
    const told = { ...event, ...(isSynthetic ? { synthetic: true as const, cpu: -1 } : {}) };
    // Nobody saw the status of a process whose end was only found out.
    if (told.type === 'exit' && !isSeen) Reflect.deleteProperty(told, 'status');
    const former = event.type === 'uid' && formerUid !== null ? { formerUid } : {};
    return { seq: number, event: told, process, ...former };
  });

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
