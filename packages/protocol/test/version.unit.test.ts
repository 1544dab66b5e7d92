import { pack } from '../src/codec.ts';
import { describe, expect, test } from 'vitest';
import { parseClientMessage, readHelperMessage } from '../src/message.ts';
import { chooseVersion, type VersionRange } from '../src/version.ts';
import { vectorOf, vectors } from './vectors.ts';

const withLaterKey = ([type, hello]: readonly unknown[]): unknown[] => [
  type,
  { ...(hello as object), later: 1 },
];

/** Where all elements stand that may be left out at the end of a message. */
const lengths: Readonly<Record<string, number>> = {
  'client subscribe': 4,
  'helper error': 6,
  'helper goodbye': 5,
};

/** A message with nil for each element that was left out, as something is to follow. */
function withoutGaps(from: string, value: readonly unknown[]): unknown[] {
  const missing = (lengths[`${from} ${String(value[0])}`] ?? 0) - value.length;
  return [...value, ...Array<null>(Math.max(0, missing)).fill(null)];
}

describe('a message of a later version', () => {
  test.each(vectors)('is read alike with more elements behind those of $name', ({ from, value }) => {
    const parse =
      from === 'client' ? parseClientMessage : (message: unknown) => readHelperMessage(pack(message));
    expect(parse([...withoutGaps(from, value), 'more', { later: true }])).toEqual(parse(value));
  });

  test('is read alike with more keys in its hello', () => {
    const [client, helper] = [vectorOf('client-hello').value, vectorOf('helper-hello').value];
    expect(parseClientMessage(withLaterKey(client))).toEqual(parseClientMessage(client));
    expect(readHelperMessage(pack(withLaterKey(helper)))).toEqual(readHelperMessage(pack(helper)));
  });

  test('is read alike with more keys in the options of a subscription', () => {
    const { value } = vectorOf('subscribe-options-from-later');
    expect(parseClientMessage(value)).toMatchObject({ options: { maxDelay: 0 } });
  });
});

describe('the version spoken', () => {
  test.each<[VersionRange, VersionRange, number]>([
    [[1, 1], [1, 1], 1],
    [[1, 3], [2, 5], 3],
    [[2, 5], [1, 3], 3],
    [[1, 9], [4, 4], 4],
    [[1, 2], [2, 3], 2],
  ])('is the highest in both %j and %j', (helper, client, version) => {
    expect(chooseVersion(helper, client)).toBe(version);
  });

  test('is none where the ranges do not meet; the error names both and who is behind', () => {
    expect(() => chooseVersion([1, 1], [2, 3])).toThrow(
      expect.objectContaining({
        code: 'version-mismatch',
        message: 'the helper speaks protocol version 1, the client 2 to 3',
        remedy: 'Upgrade the helper (procbusd).',
      }),
    );
    expect(() => chooseVersion([4, 5], [2, 3])).toThrow(
      expect.objectContaining({ remedy: 'Upgrade the client (procbus).' }),
    );
  });
});
