/*
 * procbus doctor: what it makes of the figures of a helper.
 */
import { describe, expect, test } from 'vitest';
import {
  checkClientQueues,
  checkJournal,
  checkKernelQueue,
  checkPrivileges,
  checkReaders,
  checkReceiveBuffer,
  checkUptime,
} from '../../src/cli/doctor/figures.ts';
import { helper } from '../support/figures.ts';

describe('the figures of a helper', () => {
  test('are well where nothing is lost and nothing is missing', () => {
    const fine = { ...helper, lost: { kernel: 0, queue: 0 } };
    const checks = [
      checkUptime(fine),
      checkPrivileges(fine),
      checkReaders(fine),
      checkKernelQueue(fine),
      checkClientQueues(fine),
      checkReceiveBuffer(fine, 212_992),
      checkJournal(fine),
    ];
    expect(checks.map(({ name, status, what }) => `${status} ${name}: ${what}`)).toEqual([
      'ok uptime: 3h05m',
      'ok privileges: the helper has CAP_NET_ADMIN and CAP_SYS_PTRACE',
      'ok readers: programs are read at real-time priority',
      'ok kernel-queue: 3,294,446 events have come, and none was lost',
      'ok client-queues: 3.7 MiB wait for 4 clients, and none has lost events',
      'ok receive-buffer: 128 MiB, room for about 160,000 events',
      'ok journal: 13.0 of 16.0 MiB, 26,112 events, reaching back 5m03s',
    ]);
    expect(checks.some(({ remedy }) => remedy !== undefined)).toBe(false);
  });

  test('that a helper of another version does not tell are no fault', () => {
    const checks = [
      checkUptime,
      checkPrivileges,
      checkReaders,
      checkKernelQueue,
      checkClientQueues,
      checkJournal,
      (told: object) => checkReceiveBuffer(told, 212_992),
    ];
    for (const check of checks) expect(check({}).status).toBe('skip');
  });

  test('tell what the kernel had to drop, and how to have it drop less', () => {
    const check = checkKernelQueue({
      ...helper,
      lost: { kernel: 20_442, queue: 0 },
      received: { fork: 30_000 },
    });
    expect(check).toMatchObject({
      status: 'warn',
      what: "20,442 events did not fit the kernel's queue of 128 MiB: 40.5 % of all",
    });
    expect(check.remedy).toContain('receive-buffer');
    const few = checkKernelQueue({ ...helper, lost: { kernel: 1, queue: 0 } });
    expect(few.what).toContain('less than 0.1 %');
  });

  test('tell what was dropped for slow clients', () => {
    expect(checkClientQueues(helper)).toMatchObject({
      status: 'warn',
      what: '31 events were dropped for clients that read too slowly; 3.7 MiB wait for 4 clients',
    });
  });

  test('tell of a buffer that is small, or that the kernel has made so', () => {
    expect(checkReceiveBuffer({ ...helper, receiveBuffer: 8192 }, 212_992)).toMatchObject({
      status: 'warn',
      what: '8.0 KiB, room for about 9 events, which one busy moment fills',
    });
    const clipped = { ...helper, receiveBuffer: 425_984, capabilities: ['CAP_SYS_PTRACE'] };
    expect(checkReceiveBuffer(clipped, 212_992)).toMatchObject({
      status: 'warn',
      what: '416 KiB, room for about 510 events: no more than net.core.rmem_max, 208 KiB, lets a helper without CAP_NET_ADMIN have',
    });
    // Who has the capability is not bound by it: then it was asked for.
    const asked = { ...helper, receiveBuffer: 8 * 2 ** 20 };
    expect(checkReceiveBuffer(asked, 4 * 2 ** 20).status).toBe('ok');
    expect(checkReceiveBuffer({ ...asked, capabilities: [] }, 4 * 2 ** 20).status).toBe('warn');
    expect(checkReceiveBuffer({ ...asked, capabilities: [] }, undefined).status).toBe('ok');
  });

  test('tell of a journal that reaches back too little, once it is full', () => {
    const journal = (fields: object) =>
      checkJournal({ ...helper, journal: { ...helper.journal, ...fields } });
    expect(journal({ bytes: 16 * 2 ** 20, seconds: 12 })).toMatchObject({ status: 'warn' });
    expect(journal({ bytes: 4096, seconds: 12 })).toMatchObject({ status: 'ok' });
    expect(journal({ bytes: 0, limit: 0, events: 0, seconds: 0 })).toMatchObject({ status: 'ok' });
    expect(journal({ limit: 0 }).what).toContain('switched off');
  });

  test.each([
    ['real-time', 'ok'],
    ['nice', 'warn'],
    ['none', 'warn'],
    ['off', 'ok'],
    [null, 'warn'],
    ['of a later version', 'skip'],
  ])('tell at which priority programs are read: %s', (programReader, status) => {
    expect(checkReaders({ programReader: programReader as typeof helper.programReader }).status).toBe(status);
  });

  test('tell which privileges are missing, and what for', () => {
    expect(checkPrivileges({ capabilities: ['CAP_NET_ADMIN'] })).toEqual({
      name: 'privileges',
      status: 'warn',
      what: "the helper lacks CAP_SYS_PTRACE: path and working directory of other users' programs stay untold",
      remedy: 'Give it AmbientCapabilities=CAP_SYS_PTRACE in its unit, or run it as root.',
    });
    expect(checkPrivileges({ capabilities: [] }).remedy).toContain(
      'AmbientCapabilities=CAP_NET_ADMIN CAP_SYS_PTRACE',
    );
  });
});
