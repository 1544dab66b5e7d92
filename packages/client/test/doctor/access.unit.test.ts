/*
 * procbus doctor: what it makes of the socket, its group, the helper and its grant.
 */
import { eventTypes, fullGrant, ProcbusError } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import type { Account } from '../../src/cli/doctor/accounts.ts';
import { checkGroup } from '../../src/cli/doctor/group.ts';
import { checkConnection, checkGrant, checkVersion, type Answer } from '../../src/cli/doctor/helper.ts';
import { checkSocket, type SocketFacts } from '../../src/cli/doctor/socket.ts';
import { connection } from '../support/figures.ts';

const path = '/run/procbus/procbus.sock';

/** As the unit of systemd makes it. */
const facts: SocketFacts = {
  isSocket: true,
  uid: 0,
  gid: 999,
  owner: 'root',
  group: 'procbus',
  mode: 0o660,
};

const noHelper = new ProcbusError('no-helper', 'nobody', { remedy: 'Start one.' });

describe('the socket', () => {
  test('is told with owner, group and mode', () => {
    expect(checkSocket(path, 'default', facts, undefined)).toEqual({
      name: 'socket',
      status: 'ok',
      what: `${path}, root:procbus 0660`,
    });
    const nameless = { ...facts, owner: undefined, group: undefined };
    expect(checkSocket(path, '$PROCBUS_SOCKET', nameless, undefined).what).toBe(
      `${path} (by $PROCBUS_SOCKET), 0:999 0660`,
    );
  });

  test.each(['default', '$PROCBUS_SOCKET'] as const)(
    'that is missing is a warning by %s, as commands start a helper of their own then',
    (source) => {
      expect(checkSocket(path, source, 'missing', noHelper)).toMatchObject({
        status: 'warn',
        remedy: 'Start one.',
      });
    },
  );

  test('that was asked for fails where it is missing', () => {
    expect(checkSocket(path, '--socket', 'missing', noHelper)).toMatchObject({ status: 'fail' });
  });

  test('fails where it is something else, or behind a closed directory', () => {
    expect(checkSocket(path, 'default', { ...facts, isSocket: false }, noHelper).status).toBe('fail');
    expect(checkSocket(path, 'default', 'hidden', noHelper).status).toBe('fail');
  });
});

describe('the group of the socket', () => {
  const anna: Account = { uid: 1000, name: 'anna', session: [1000, 999], database: [1000, 999] };
  const stranger = { ...anna, session: [1000], database: [1000] };
  const check = (
    account: Partial<Account>,
    socket: Partial<SocketFacts> = {},
    { isMapped = true, connected = false } = {},
  ): unknown => checkGroup({ ...anna, ...account }, { ...facts, ...socket }, isMapped, connected);

  test('has the user and the session', () => {
    expect(check({})).toEqual({
      name: 'group',
      status: 'ok',
      what: 'anna is in procbus, and so is this session',
    });
    // Where the database does not answer, the session is what counts.
    expect(check({ database: undefined })).toMatchObject({ status: 'ok' });
  });

  test('has the user, and not the session', () => {
    expect(check({ session: [1000] })).toEqual({
      name: 'group',
      status: 'fail',
      what: 'anna is in procbus, but was not yet when this session began',
      remedy: 'Log in again, or run: newgrp procbus',
    });
  });

  test('has the session, and no longer the user', () => {
    expect(check({ database: [1000] })).toMatchObject({
      status: 'warn',
      remedy: expect.stringContaining('sudo usermod -aG procbus anna') as unknown,
    });
  });

  test('has neither', () => {
    expect(check(stranger)).toEqual({
      name: 'group',
      status: 'fail',
      what: 'anna is not in procbus',
      remedy: 'Join it with: sudo usermod -aG procbus anna; then log in again',
    });
    expect(check({ ...stranger, name: undefined, database: undefined })).toMatchObject({
      what: 'uid 1000 is not in procbus',
    });
  });

  test('has a name that a shell takes for one word', () => {
    expect(check(stranger, { group: 'domain users' })).toMatchObject({
      remedy: "Join it with: sudo usermod -aG 'domain users' anna; then log in again",
    });
  });

  test.each<[string, Partial<Account>, Partial<SocketFacts>]>([
    ['by root', { ...stranger, uid: 0, name: 'root' }, {}],
    ['by the owner', stranger, { uid: 1000 }],
    ['where the socket is open to everybody', stranger, { mode: 0o666 }],
  ])('is not needed %s', (_, account, socket) => {
    expect(check(account, socket)).toMatchObject({ status: 'ok' });
  });

  test('is not needed by who is let in by other means', () => {
    expect(check(stranger, {}, { connected: true })).toMatchObject({ status: 'ok' });
  });

  test.each<[string, Partial<SocketFacts>]>([
    ['may not connect', { mode: 0o600 }],
    ['is that of root', { gid: 0, group: 'root' }],
    ['has no name', { gid: 4711, group: undefined }],
  ])('is none to join where it %s', (_, socket) => {
    expect(check({ ...stranger, session: [1000, 999] }, socket)).toMatchObject({
      status: 'fail',
      remedy: expect.stringContaining('SocketGroup=procbus') as unknown,
    });
  });

  test('is not judged in another user namespace, or where there is no socket', () => {
    expect(check(stranger, {}, { isMapped: false })).toMatchObject({ status: 'skip' });
    expect(checkGroup(anna, undefined, true, false)).toMatchObject({ status: 'skip' });
  });
});

describe('the helper', () => {
  const hello = {
    version: 1,
    versions: [1, 1],
    software: 'procbusd/0.1.0',
    epoch: '00',
    seq: 0,
    bootId: '00',
    clockOffset: 0n,
    grant: fullGrant,
  } as const;
  const answer: Answer = { hello, seconds: 0.0032, stats: { connection } };

  test('answers, or the reason is told', () => {
    expect(checkConnection(answer)).toMatchObject({
      status: 'ok',
      what: 'procbusd/0.1.0 answered within 3.20ms',
    });
    const refused = new ProcbusError('not-granted', 'no grant is for uid 7', { remedy: 'Join group ops' });
    expect(checkConnection(refused)).toEqual({
      name: 'connection',
      status: 'fail',
      what: 'no grant is for uid 7',
      remedy: 'Join group ops',
    });
    expect(checkConnection({ ...answer, stats: noHelper })).toMatchObject({ status: 'fail' });
  });

  test.each([
    ['procbusd/0.1.0', '0.1.0', 'ok'],
    ['procbusd/0.1.7', '0.1.0', 'ok'],
    ['procbusd/1.4.0-rc.1', '1.4.2', 'ok'],
    ['procbusd/0.2.0', '0.1.0', 'warn'],
    ['procbusd/1.0.0', '0.9.0', 'warn'],
    ['procbusd/0.10.0', '0.9.0', 'warn'],
    ['other/0.1.0', '0.1.0', 'skip'],
    ['procbusd/next', '0.1.0', 'skip'],
    ['', '0.1.0', 'skip'],
  ])('%s beside procbus %s: %s', (software, client, status) => {
    expect(checkVersion(software, client).status).toBe(status);
  });

  test('says which side is to be upgraded', () => {
    expect(checkVersion('procbusd/0.10.0', '0.9.0').remedy).toBe('Upgrade procbus to 0.10.0.');
    expect(checkVersion('procbusd/0.9.0', '0.10.0').remedy).toContain('Upgrade procbusd to 0.10.0');
  });

  test('grants something, and that is told', () => {
    expect(checkGrant(fullGrant)).toMatchObject({
      status: 'ok',
      what: 'the processes of all users, names, programs and arguments; all events',
    });
    expect(checkGrant({ scope: 'own', detail: 'ids', events: ['exec', 'exit'] })).toMatchObject({
      status: 'ok',
      what: 'your own processes, ids alone; exec, exit',
    });
    expect(checkGrant({ scope: 'all', detail: 'names', events: [] }).status).toBe('warn');
    expect(checkGrant({ scope: 'all', detail: 'args', events: eventTypes.slice(1) }).what).not.toContain(
      'all events',
    );
  });
});
