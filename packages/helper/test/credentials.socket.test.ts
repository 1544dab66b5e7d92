/*
 * Who connects, where it is ourselves.
 */
import { expect, onTestFinished, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import * as libc from '../src/libc.ts';
import { peerOf } from '../src/peers/credentials.ts';
import { listen } from './support/listening.ts';
import { RawClient } from './support/raw-client.ts';

test('a peer that is this very process has our ids, and each of our groups once, in ascending order', async () => {
  const { path, accepted } = listen();
  await RawClient.connect(path);
  await until('the connection', () => accepted.length === 1);
  const gid = process.getegid?.() ?? -1;
  const groups = [...new Set([gid, ...(process.getgroups?.() ?? [])])].toSorted((a, b) => a - b);
  expect(accepted[0]?.peer).toEqual({ pid: process.pid, uid: process.geteuid?.(), gid, groups });
});

test('what is no connection has no peer', () => {
  const fd = libc.openEventfd();
  onTestFinished(() => libc.close(fd));
  expect(() => peerOf(fd)).toThrow('getsockopt: ENOTSOCK');
});
