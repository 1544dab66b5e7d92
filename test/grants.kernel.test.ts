/*
 * Who sees what: real users and groups, programs that change their user, and all bytes that the socket gave.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, copyFileSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  clientMessage,
  FrameDecoder,
  includes,
  maxHelperPayload,
  packFrame,
  unpack,
  versions,
} from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { asUser, makeGroup, makeUser, runAs, type TestUser } from './support/accounts.ts';
import { compiled } from './support/compiled.ts';
import { until } from './support/condition.ts';
import { procbus, startHelper, temporaryDirectory } from './support/procbus.ts';
import { inRepository, Program, run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

/** In the arguments, names and paths of programs of others; at most 15 bytes, to be a name. */
const canary = 'canary7f3a9b21';

/** A helper that everybody may connect to, with grants. */
async function startGranting(...grants: readonly string[]): Promise<string> {
  const file = join(temporaryDirectory(), 'procbusd.toml');
  writeFileSync(file, ['[socket]', 'mode = "0666"', ...grants].join('\n'));
  return (await startHelper('--config', file)).socket;
}

/** A grant as it is written. */
const grant = (...lines: readonly string[]): string => ['[[grant]]', ...lines].join('\n');

/** All that a user who asks for everything gets from the socket, as bytes. */
class Tap {
  readonly #program: Program;
  readonly #file: string;

  static async open(user: TestUser, socket: string): Promise<Tap> {
    const file = join(temporaryDirectory(), 'bytes');
    const out = openSync(file, 'w');
    const everything = { threads: true, include: [...includes] };
    const said = [
      clientMessage.hello({ versions, software: 'tap' }),
      clientMessage.subscribe(1, everything, { sinceTime: 0n }),
      clientMessage.subscribe(2, everything),
      ...[3, 4, 5].map((request) => clientMessage.snapshot(request, everything, true)),
      clientMessage.stats(6),
    ];
    const hex = Buffer.concat(said.map((message) => packFrame(message))).toString('hex');
    const command = ['/usr/bin/python3', inRepository('test/programs/bytes.py'), socket, hex];
    const program = runAs(user, command, { stdio: ['ignore', out, 'pipe'] });
    closeSync(out);
    const tap = new Tap(program, file);
    await until('an answer to the last request', () => tap.messages.some(([, request]) => request === 6));
    return tap;
  }

  private constructor(program: Program, file: string) {
    this.#program = program;
    this.#file = file;
  }

  get bytes(): Buffer {
    return readFileSync(this.#file);
  }

  get messages(): unknown[][] {
    return [...new FrameDecoder(maxHelperPayload).push(this.bytes)].map(
      (payload) => unpack(payload) as unknown[],
    );
  }

  /** Whether a text was told. */
  has(text: string): boolean {
    return this.bytes.includes(text);
  }

  /** The events of the second subscription, which begins now. */
  get events(): unknown[][] {
    return this.messages.flatMap((message) =>
      message[0] === 'events' && message[1] === 2 ? (message[4] as unknown[][]) : [],
    );
  }

  /** Asks for it all once more, now that it has happened: the journal, and those who have ended. */
  async again(user: TestUser, socket: string): Promise<Tap> {
    await this.#program.stop('SIGKILL');
    return Tap.open(user, socket);
  }
}

/** Runs a program of somebody, with a mark in its arguments. */
async function runMarked(user: TestUser | 'root', mark: string): Promise<void> {
  const command = ['/bin/sh', '-c', 'exit 0', mark];
  const [program, args] = user === 'root' ? ['/bin/sh', command.slice(1)] : asUser(user, command);
  await run(program, args);
}

/** What `procbus watch` says to a user who is refused, and how it ends. */
async function refused(program: Program): Promise<string> {
  program.child.stdin?.end();
  expect(await program.ended).toBe(77);
  return program.stderr;
}

const watch = (socket: string): string[] => [
  process.execPath,
  procbus,
  'watch',
  '--json',
  '--socket',
  socket,
];

kernelSuite('grants', ['gcc', '/usr/bin/python3', 'setpriv', 'useradd'].map(needsProgram), () => {
  test('a member of the group sees all; so does one by a supplementary group', async () => {
    const group = makeGroup();
    const [member, other] = [makeUser(group), makeUser()];
    const socket = await startGranting(grant(`group = "${group}"`));
    const tap = await Tap.open(member, socket);
    await runMarked('root', `root-${canary}`);
    await runMarked(other, `other-${canary}`);
    await until('both', () => tap.has(`root-${canary}`) && tap.has(`other-${canary}`));
    // The group is no one's own: the kernel knows it as a supplementary one.
    expect(execFileSync('id', ['-gn', member.name], { encoding: 'utf8' }).trim()).toBe(member.name);
  });

  describe('who sees their own', () => {
    test('sees all of it, and not a byte of what others do', async () => {
      const [bob, alice] = [makeUser(), makeUser()];
      const socket = await startGranting(grant('everyone = true', 'scope = "own"'));
      const mine = `mine-${bob.name}`;
      const tap = await Tap.open(bob, socket);
      await runMarked('root', canary);
      await runMarked(alice, canary);
      await runMarked(bob, mine);
      await until('what is one’s own', () => tap.has(mine));

      expect(tap.has(canary)).toBe(false);
      const uids = tap.messages.flatMap(([type, , processes]) =>
        type === 'processes' ? (processes as { uid: number }[]).map(({ uid }) => uid) : [],
      );
      expect(new Set(uids)).toEqual(new Set([bob.uid]));
      const later = await tap.again(bob, socket);
      expect(later.has(mine)).toBe(true);
      expect(later.has(canary)).toBe(false);
      const [, , stats] = later.messages.find(([type, request]) => type === 'result' && request === 6) ?? [];
      expect(Object.keys(stats as object)).toEqual(['connection']);
    });

    test('sees what becomes theirs, and nothing of what it was before', async () => {
      const bob = makeUser();
      const socket = await startGranting(grant('everyone = true', 'scope = "own"'));
      const tap = await Tap.open(bob, socket);
      const mark = `mine-${bob.name}`;
      // Root's arguments and name hold the canary; what it runs as bob does not.
      await run(compiled('become'), [String(bob.uid), canary, '/bin/true', mark]);
      await run('su', ['-s', '/bin/sh', bob.name, '-c', `true ${mark}-su`]);
      await until('the programs', () => tap.has(mark) && tap.has(`${mark}-su`));

      const later = await tap.again(bob, socket);
      for (const { bytes } of [tap, later]) {
        expect(bytes.includes(mark)).toBe(true);
        expect(bytes.includes(canary)).toBe(false);
      }
      // The change is theirs to see, and what the process did before it ran a program of theirs.
      const changed = tap.events.filter(([type, , , , , , , uid]) => type === 'uid' && uid === bob.uid);
      expect(changed.length).toBeGreaterThanOrEqual(2);
      const [, , , , pid] = changed[0] as unknown[];
      expect(tap.events.filter((event) => event[4] === pid).map(([type]) => type)).toEqual(
        expect.arrayContaining(['uid', 'exec', 'exit']),
      );
    });

    test('sees what was theirs until it is another’s, and nothing from then on', async () => {
      const bob = makeUser();
      const socket = await startGranting(grant('everyone = true', 'scope = "own"'));
      const helper = join(temporaryDirectory(), 'become');
      copyFileSync(compiled('become'), helper);
      chmodSync(helper, 0o4755);
      const tap = await Tap.open(bob, socket);
      const mark = `mine-${bob.name}`.slice(0, 15);
      const program = runAs(bob, [helper, '0', mark, '-']);
      program.child.stdin?.end(`/bin/true\n${canary}\n`);
      expect(await program.ended).toBe(0);
      await runMarked(bob, `later-${bob.name}`);
      await until('what came later', () => tap.has(`later-${bob.name}`));

      expect(tap.has(canary)).toBe(false);
      expect(tap.has(mark)).toBe(true);
      const gone = tap.events.findLast(([type, , , , , , , uid]) => type === 'uid' && uid === 0);
      expect(gone).toBeDefined();
      const pid = gone?.[4];
      const types = tap.events.filter((event) => event[4] === pid).map(([type]) => type);
      expect(types.slice(types.lastIndexOf('uid'))).toEqual(['uid']);
      expect((await tap.again(bob, socket)).has(canary)).toBe(false);
    });

    test('is not told who their parents are', async () => {
      const bob = makeUser();
      const socket = await startGranting(grant('everyone = true', 'scope = "own"'));
      const shell = join(temporaryDirectory(), canary);
      copyFileSync('/bin/sh', shell);
      chmodSync(shell, 0o755);
      const tap = await Tap.open(bob, socket);
      const mark = `mine-${bob.name}`;
      const [program, args] = asUser(bob, ['/bin/sh', '-c', 'true; true', mark]);
      // A shell of root whose name is the canary is the parent of all.
      await run(shell, ['-c', `${program} ${args.map((arg) => `'${arg}'`).join(' ')}; true`, canary]);
      await until('the program', () => tap.has(mark));
      const later = await tap.again(bob, socket);
      for (const { bytes } of [tap, later]) expect(bytes.includes(canary)).toBe(false);
    });
  });

  test('who is granted ids or names alone is told no more', async () => {
    const [ids, names] = [makeUser(), makeUser()];
    const socket = await startGranting(
      grant(`user = "${ids.name}"`, 'detail = "ids"'),
      grant(`user = "${names.name}"`, 'detail = "names"'),
      grant('user = "root"'),
    );
    const [idTap, nameTap] = [await Tap.open(ids, socket), await Tap.open(names, socket)];
    const program = join(temporaryDirectory(), canary);
    copyFileSync('/bin/true', program);
    chmodSync(program, 0o755);
    const secret = 'secret-in-arguments';
    const done = await run(program, [secret]);
    const ended = ({ events }: Tap): boolean =>
      events.some(([type, , , , pid]) => type === 'exit' && pid === done.pid);
    await until('the end of it', () => ended(idTap) && ended(nameTap));

    for (const tap of [idTap, await idTap.again(ids, socket)]) {
      expect(tap.has(canary)).toBe(false);
      expect(tap.has(secret)).toBe(false);
    }
    for (const tap of [nameTap, await nameTap.again(names, socket)]) {
      expect(tap.has(canary)).toBe(true);
      expect(tap.has(secret)).toBe(false);
    }
  });

  test('a stranger is refused, and told what would help', async () => {
    const group = makeGroup();
    const stranger = makeUser();
    const socket = await startGranting(grant(`group = "${group}"`), grant('user = "root"'));
    const tap = new Program(...asUser(stranger, watch(socket)));
    await runMarked('root', canary);
    const said = await refused(tap);
    expect(said).toContain(`uid ${stranger.uid} (${stranger.name})`);
    expect(said).toContain(`sudo usermod -aG ${group} ${stranger.name}`);
    expect(tap.stdout).toBe('');
    expect(said).not.toContain(canary);
  });

  test('a group counts as the process has it, whatever the user database says by now', async () => {
    const group = makeGroup();
    const joined = makeUser(group);
    const left = makeUser(group);
    const socket = await startGranting(grant(`group = "${group}"`), grant('user = "root"'));
    // In the database and not in the process.
    const stale = new Program('setpriv', [
      `--reuid=${joined.name}`,
      `--regid=${joined.name}`,
      '--clear-groups',
      ...watch(socket),
    ]);
    const said = await refused(stale);
    expect(said).toContain(`newgrp ${group}`);
    // In the process, and no longer in the database.
    const gid = execFileSync('getent', ['group', group], { encoding: 'utf8' }).split(':')[2] as string;
    execFileSync('gpasswd', ['--delete', left.name, group], { stdio: 'ignore' });
    const kept = new Program('setpriv', [
      `--reuid=${left.name}`,
      `--regid=${left.name}`,
      `--groups=${gid}`,
      ...watch(socket),
    ]);
    await kept.says('watching');
  });
});
