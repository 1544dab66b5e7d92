import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TextCache } from '../src/text-cache.ts';

test('a text is what its bytes say, whatever was read before', () => {
  const cache = new TextCache();
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom('id', 'comm', 'detail', ''),
  );
  fc.assert(
    fc.property(fc.array(text, { maxLength: 50 }), fc.nat(5), (texts, before) => {
      for (const some of texts) {
        const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(some), Buffer.from('behind')]);
        const expected = Buffer.from(some).toString();
        expect(cache.read(bytes, before, bytes.length - 6)).toBe(expected);
      }
    }),
    { numRuns: 1000 },
  );
});

test('bytes that are no UTF-8 become U+FFFD, also the second time', () => {
  const cache = new TextCache();
  for (let time = 0; time < 2; time++) expect(cache.read(Buffer.of(0x61, 0xff), 0, 2)).toBe('a\ufffd');
});
