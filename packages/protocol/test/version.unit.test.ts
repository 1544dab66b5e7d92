import { describe, expect, test } from 'vitest';
import { parseClientMessage, parseHelperMessage } from '../src/message.ts';
import { chooseVersion, type VersionRange } from '../src/version.ts';
import { vectorOf, vectors } from './vectors.ts';

const withLaterKey = ([type, hello]: readonly unknown[]): unknown[] => [
  type,
  { ...(hello as object), later: 1 },
];

describe('a message of a later version', () => {
  // An error or a goodbye without a remedy ends where one could follow.
  const complete = vectors.filter(({ name }) => !/^error-without|^helper-goodbye$/.test(name));

  test.each(complete)('is read alike with more elements behind those of $name', ({ from, value }) => {
    const parse = from === 'client' ? parseClientMessage : parseHelperMessage;
    expect(parse([...value, 'more', { later: true }])).toEqual(parse(value));
  });

  test('is read alike with more keys in its hello', () => {
    const [client, helper] = [vectorOf('client-hello').value, vectorOf('helper-hello').value];
    expect(parseClientMessage(withLaterKey(client))).toEqual(parseClientMessage(client));
    expect(parseHelperMessage(withLaterKey(helper))).toEqual(parseHelperMessage(helper));
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
