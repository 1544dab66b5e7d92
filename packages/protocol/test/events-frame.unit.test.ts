import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { packFrameHead } from '../src/codec.ts';
import { packEventsHead } from '../src/events-frame.ts';
import { clockOffset } from './arbitraries.ts';
import { eventsHead } from './wire-event.ts';

test('the beginning of a frame of events is laid out by hand as it would be packed', () => {
  const subscription = fc.integer({ min: 0, max: 0xffff_ffff });
  const listBytes = fc.integer({ min: 1, max: 1024 * 1024 });
  fc.assert(
    fc.property(
      subscription,
      fc.maxSafeInteger().map(Math.abs),
      clockOffset,
      listBytes,
      (id, seq, offset, bytes) => {
        expect(packEventsHead(id, seq, offset, bytes)).toEqual(
          packFrameHead(eventsHead(id, seq, offset), bytes),
        );
      },
    ),
  );
});
