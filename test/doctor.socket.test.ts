/*
 * procbus doctor, as a program, at helpers that follow a script.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { helperMessage, type HelperHello } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import type { HelperStats } from '../packages/client/src/stats.ts';
import { connection, stats, statsWith } from '../packages/client/test/support/figures.ts';
import { doctor, examined } from './support/doctor.ts';
import { answerAs, helperHello, listenAs, politely } from './support/impostor.ts';
import { procbus, temporaryDirectory } from './support/procbus.ts';
import { Program, run } from './support/program.ts';

/** A helper that answers with these figures. */
async function serve(answer: HelperStats, hello: Partial<HelperHello> = {}): Promise<string> {
  return answerAs((type, request) => {
    if (type === 'hello')
      return [helperMessage.hello({ ...helperHello, software: 'procbusd/0.1.0', ...hello })];
    if (type === 'stats') return [helperMessage.result(request as number, answer)];
    return politely(type, request);
  });
}

describe('procbus doctor', () => {
  test('finds a helper well, tells it in one object, and ends with 0', async () => {
    const socket = await serve(statsWith({ lost: { kernel: 0, queue: 0 } }));
    const found = await examined(doctor('--socket', socket));
    expect(found.stderr).toBe('');
    expect(found.named('fail')).toEqual([]);
    expect(found.exitStatus).toBe(0);
    expect(found.socket).toBe(socket);
    for (const name of ['socket', 'connection', 'version', 'grant', 'uptime', 'privileges', 'journal']) {
      expect(found.of(name)).toMatchObject({ status: 'ok' });
    }
    // Where a helper answers, none is tried.
    expect(found.of('private-helper')).toBeUndefined();
  });

  test('has warned, and ends with 0', async () => {
    const found = await examined(doctor('--socket', await serve(stats, { software: 'procbusd/7.0.0' })));
    expect(found.verdict).toBe('warn');
    expect(found.exitStatus).toBe(0);
    expect(found.named('warn')).toEqual(expect.arrayContaining(['version', 'client-queues']));
  });

  test('prints a line for each check, without colours where it goes into a pipe', async () => {
    const socket = await serve({ connection });
    const shown = await run(process.execPath, [procbus, 'doctor', '--socket', socket]);
    expect(await shown.ended).toBe(0);
    expect(shown.stdout).toMatch(/^ok {4}connection +procbusd\/0\.1\.0 answered within /m);
    expect(shown.stdout).toMatch(
      /^skip {2}uptime +your grant shows no more than your own connection; so also privileges, /m,
    );
    expect(shown.stdout).toMatch(/\n\n(All is well|It works, with \d warnings?)\.\n$/);
    expect(shown.stdout).not.toContain('\u001b');
  });

  test('takes the socket from the environment, and says so', async () => {
    const socket = await serve(stats);
    const found = await examined(doctor(), { ...process.env, PROCBUS_SOCKET: socket });
    expect(found.of('socket')?.what).toContain(`${socket} (by $PROCBUS_SOCKET), `);
    const empty = await examined(doctor(), { ...process.env, PROCBUS_SOCKET: '' });
    expect(empty.socket).toBe('/run/procbus/procbus.sock');
  });

  test('shows what a helper refuses with', async () => {
    const refusal = {
      code: 'not-granted',
      message: 'no grant is for uid 1000 (anna)',
      remedy: 'Join group ops: sudo usermod -aG ops anna',
    };
    const socket = await answerAs(() => [helperMessage.error(null, refusal)]);
    const found = await examined(doctor('--socket', socket));
    expect(found.exitStatus).toBe(1);
    expect(found.of('connection')).toEqual({
      name: 'connection',
      status: 'fail',
      what: refusal.message,
      remedy: refusal.remedy,
    });
  });

  test('finds out what is no helper', async () => {
    const chatty = await listenAs((socket) => socket.write('220 mail ready\r\n'));
    const other = await examined(doctor('--socket', chatty));
    expect(other.exitStatus).toBe(1);
    expect(other.of('connection')?.what).toContain('is no procbusd');
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    const plain = await examined(doctor('--socket', file));
    expect(plain.exitStatus).toBe(1);
    expect(plain.of('socket')).toMatchObject({ status: 'fail' });
  });

  test('waits for figures, but not forever', async () => {
    const socket = await answerAs((type, request) => (type === 'stats' ? [] : politely(type, request)));
    const found = await examined(doctor('--socket', socket));
    expect(found.exitStatus).toBe(1);
    expect(found.of('connection')?.what).toContain('it has not told its figures within 10 seconds');
    expect(found.of('journal')).toMatchObject({ status: 'skip' });
  });

  test('is interrupted also while the helper does not answer', async () => {
    let interrupt = (): void => undefined;
    const asked = new Promise<void>((resolve) => (interrupt = resolve));
    const socket = await listenAs((client) => client.once('data', interrupt));
    const waiting = new Program(process.execPath, [procbus, 'doctor', '--socket', socket]);
    await asked;
    expect(await waiting.stop('SIGINT')).toBe(130);
    expect(waiting.stdout + waiting.stderr).toBe('');
  });

  test('is safe to look at, whatever a helper says', async () => {
    const hostile = 'procbusd/0.1.0\u001b[2J\r\n\u202E';
    const socket = await serve(statsWith({ programReader: hostile as never, capabilities: [hostile] }), {
      software: hostile,
    });
    const shown = await run(process.execPath, [procbus, 'doctor', '--socket', socket]);
    expect(shown.stdout).toContain(String.raw`\x1b[2J`);
    expect(shown.stdout.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
  });

  test('makes do with what a helper of another version tells', async () => {
    const socket = await serve({ connection, helper: { uptime: 5 } as never });
    const found = await examined(doctor('--socket', socket));
    expect(found.of('uptime')).toMatchObject({ status: 'ok', what: '5.00s' });
    for (const name of [
      'privileges',
      'readers',
      'kernel-queue',
      'client-queues',
      'receive-buffer',
      'journal',
    ]) {
      expect(found.of(name)).toMatchObject({ status: 'skip' });
    }
  });

  test('fails where nobody is at the socket that was asked for', async () => {
    const socket = join(temporaryDirectory(), 'none.sock');
    const found = await examined(doctor('--socket', socket));
    expect(found.exitStatus).toBe(1);
    expect(found.of('socket')).toMatchObject({
      status: 'fail',
      what: `there is none at ${socket} (by --socket)`,
    });
    expect(found.of('connection')).toMatchObject({ status: 'skip' });
  });

  test.each([
    [['--nonsense'], 'Unknown argument: nonsense'],
    [['--socket', ''], 'the path of the socket is empty'],
  ])('refuses %j with 64, and says why', async (args, message) => {
    const refused = await run(process.execPath, [procbus, 'doctor', ...args]);
    expect(await refused.ended).toBe(64);
    expect(refused.stderr).toContain(message);
    expect(refused.stderr).toContain('procbus doctor --help');
  });

  test('explains itself', async () => {
    const help = await run(process.execPath, [procbus, 'doctor', '--help']);
    expect(await help.ended).toBe(0);
    expect(help.stdout).toContain('Exit status: 0 nothing fails, 1 something does');
  });
});
