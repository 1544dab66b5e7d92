/*
 * procbus watch that begins in the past and goes on where it has ended, at a helper that follows a script.
 */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { helperMessage } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { until } from './support/condition.ts';
import { helperHello } from './support/impostor.ts';
import { heartbeat, told } from './support/messages.ts';
import { procbus, temporaryDirectory, Watcher } from './support/procbus.ts';
import { Program, run } from './support/program.ts';
import { Script, type Asked } from './support/script.ts';

const epoch = '0123456789abcdef';

async function startScript(...unanswered: string[]): Promise<Script> {
  const { script } = await Script.start(...unanswered);
  script.hello = { ...helperHello, epoch };
  return script;
}

/** The options of a subscription that was asked for. */
const optionsOf = ([, , , options]: Asked): unknown => options;

/** Runs `procbus watch` until it ends by itself. */
async function watch(script: Script, ...args: string[]): Promise<Program> {
  return run(process.execPath, [procbus, 'watch', '--socket', script.path, ...args]);
}

const cursorIn = (file: string): string => readFileSync(file, 'utf8');

describe('a cursor file', () => {
  test('holds where a watch has ended, and the next one goes on from there', async () => {
    const script = await startScript();
    const file = join(temporaryDirectory(), 'cursor');
    const first = await Watcher.start(script.path, '--cursor-file', file);
    expect(optionsOf(await script.hears('subscribe'))).toBeUndefined();
    expect(cursorIn(file)).toBe(`${epoch}:0\n`);
    script.say(told(1, 3, 5));
    await until('both lines', () => first.lines.length === 2);
    expect(await first.stop()).toBe(143);
    expect(cursorIn(file)).toBe(`${epoch}:5\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);

    const second = await Watcher.start(script.path, '--cursor-file', file, '--since', '10m');
    expect(optionsOf(await script.hears('subscribe', 2))).toEqual({ since: `${epoch}:5` });
    script.say(told(1, 6));
    await until('the line', () => second.lines.length === 1);
    expect(await second.stop('SIGINT')).toBe(130);
    expect(cursorIn(file)).toBe(`${epoch}:6\n`);
  });

  test('moves on while the watch runs, with events and without', async () => {
    const script = await startScript();
    const file = join(temporaryDirectory(), 'cursor');
    const watcher = await Watcher.start(script.path, '--cursor-file', file);
    script.say(told(1, 3));
    await until('the event', () => cursorIn(file) === `${epoch}:3\n`);
    script.say(heartbeat(1, 77));
    await until('the heartbeat', () => cursorIn(file) === `${epoch}:77\n`);
    expect(watcher.lines).toHaveLength(1);
  });

  test('holds no more than what has been written, even if more has been read', async () => {
    const script = await startScript();
    const file = join(temporaryDirectory(), 'cursor');
    const args = ['watch', '--socket', script.path, '--cursor-file', file];
    const program = new Program('/bin/sh', [
      '-c',
      '"$0" "$@" > /dev/full',
      process.execPath,
      procbus,
      ...args,
    ]);
    await program.says('watching');
    script.say(heartbeat(1, 2), told(1, 3, 4));
    expect(await program.ended).toBe(74);
    expect(program.stderr).toContain('ENOSPC');
    expect([`${epoch}:0\n`, `${epoch}:2\n`]).toContain(cursorIn(file));
  });

  test('says at --count where the last line was, and not what came behind it', async () => {
    const script = await startScript();
    const file = join(temporaryDirectory(), 'cursor');
    const watcher = await Watcher.start(script.path, '--cursor-file', file, '--count', '2');
    script.say(told(1, 3, 5, 8, 9));
    expect(await watcher.ended).toBe(0);
    expect(watcher.lines).toHaveLength(2);
    expect(cursorIn(file)).toBe(`${epoch}:5\n`);
  });

  test('keeps its mode, and the link that leads to it', async () => {
    const script = await startScript();
    const directory = temporaryDirectory();
    const [file, link] = [join(directory, 'cursor'), join(directory, 'link')];
    writeFileSync(file, `${epoch}:7`);
    chmodSync(file, 0o640);
    symlinkSync('cursor', link);
    const watcher = await Watcher.start(script.path, '--cursor-file', link);
    expect(optionsOf(await script.hears('subscribe'))).toEqual({ since: `${epoch}:7` });
    script.say(told(1, 8));
    await until('the line', () => watcher.lines.length === 1);
    await watcher.stop();
    expect(cursorIn(file)).toBe(`${epoch}:8\n`);
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(readdirSync(directory).toSorted()).toEqual(['cursor', 'link']);
  });

  test('that is empty is as good as none', async () => {
    const script = await startScript();
    const file = join(temporaryDirectory(), 'cursor');
    writeFileSync(file, '');
    await Watcher.start(script.path, '--cursor-file', file, '--since', `${epoch}:9`);
    expect(optionsOf(await script.hears('subscribe'))).toEqual({ since: `${epoch}:9` });
    expect(cursorIn(file)).toBe(`${epoch}:9\n`);
  });

  test('whose place is gone is told as lost, and the watch goes on with what is held', async () => {
    const script = await startScript();
    const file = join(temporaryDirectory(), 'cursor');
    writeFileSync(file, 'fedcba9876543210:100\n');
    script.refuse.set('subscribe', { code: 'gone', message: 'another run', oldest: `${epoch}:40` });
    const watcher = await Watcher.start(script.path, '--cursor-file', file);
    expect(optionsOf(await script.hears('subscribe', 2))).toEqual({ since: `${epoch}:40` });
    script.say(told(2, 41));
    await until('both lines', () => watcher.lines.length === 2);
    expect(watcher.events).toMatchObject([
      { type: 'lost', where: 'journal', count: 0, from: 0, to: 40 },
      { type: 'exec', seq: 41 },
    ]);
    await watcher.stop();
    expect(cursorIn(file)).toBe(`${epoch}:41\n`);
  });

  test.each([
    ['text', 'holds something else than a cursor', (file: string) => writeFileSync(file, 'precious data\n')],
    ['two cursors', 'something else', (file: string) => writeFileSync(file, `${epoch}:1\n${epoch}:2\n`)],
    ['a large file', 'something else', (file: string) => writeFileSync(file, `${epoch}:1`.padEnd(4096))],
    ['a directory', 'it is not a file', (file: string) => mkdirSync(file)],
    ['a device', 'it is not a file', (file: string) => symlinkSync('/dev/null', file)],
    ['a loop', 'ELOOP', (file: string) => symlinkSync(file, file)],
  ])('that is %s is refused with 64, and left as it is', async (_what, message, make) => {
    const script = await startScript();
    const directory = temporaryDirectory();
    const file = join(directory, 'cursor');
    make(file);
    const refused = await watch(script, '--cursor-file', file);
    expect(await refused.ended).toBe(64);
    expect(refused.stderr).toContain(`procbus: --cursor-file ${file}: `);
    expect(refused.stderr).toContain(message);
    expect(readdirSync(directory)).toEqual(['cursor']);
    expect(script.connections).toBe(0);
  });

  test('that cannot be written is refused at once, with 74', async () => {
    const script = await startScript();
    const refused = await watch(script, '--cursor-file', '/nonexistent/cursor');
    expect(await refused.ended).toBe(74);
    expect(refused.stderr).toContain('--cursor-file /nonexistent/cursor: cannot be written: ENOENT');
    const device = await watch(script, '--cursor-file', '/proc/self/cursor');
    expect(await device.ended).toBe(74);
    expect(script.connections).toBe(0);
  });

  test('that cannot be written any more is complained of once, and the watch ends with 74', async () => {
    const script = await startScript();
    const directory = join(temporaryDirectory(), 'gone');
    mkdirSync(directory);
    const watcher = await Watcher.start(script.path, '--cursor-file', join(directory, 'cursor'));
    rmSync(directory, { recursive: true });
    for (const seq of [3, 4, 5]) {
      script.say(told(1, seq));
      await watcher.says(`"seq":${seq},`);
      await until('another second', () => watcher.stderr.includes('cannot be written'));
    }
    expect(await watcher.stop()).toBe(74);
    expect(watcher.stderr.match(/cannot be written/g)).toHaveLength(1);
  });

  test('that can be written again in the end is right, and all is well', async () => {
    const script = await startScript();
    const directory = join(temporaryDirectory(), 'gone');
    mkdirSync(directory);
    const watcher = await Watcher.start(script.path, '--cursor-file', join(directory, 'cursor'));
    rmSync(directory, { recursive: true });
    script.say(told(1, 3));
    await watcher.says('cannot be written');
    mkdirSync(directory);
    expect(await watcher.stop()).toBe(143);
    expect(cursorIn(join(directory, 'cursor'))).toBe(`${epoch}:3\n`);
  });
});

describe('the past', () => {
  test('begins behind a cursor, or at a time', async () => {
    const script = await startScript();
    await Watcher.start(script.path, '--since', `${epoch}:40`, '--max-delay', '0ms');
    expect(optionsOf(await script.hears('subscribe'))).toEqual({ since: `${epoch}:40`, maxDelay: 0 });
    const before = Date.now();
    await Watcher.start(script.path, '--since', '30s', '--max-delay', '1.5s');
    const { sinceTime, maxDelay } = optionsOf(await script.hears('subscribe', 2)) as {
      sinceTime: bigint;
      maxDelay: number;
    };
    expect(maxDelay).toBe(1500);
    // The helper says that its clock began in 1970.
    const ago = before - Number(sinceTime / 1_000_000n);
    expect(ago).toBeLessThanOrEqual(30_000);
    expect(ago).toBeGreaterThan(20_000);
  });

  test('that is gone is an error, with the oldest cursor there is', async () => {
    const script = await startScript();
    script.refuse.set('subscribe', {
      code: 'gone',
      message: 'the journal no longer holds it',
      remedy: `Begin at ${epoch}:40.`,
      oldest: `${epoch}:40`,
    });
    const refused = await watch(script, '--since', `${epoch}:7`);
    expect(await refused.ended).toBe(69);
    expect(refused.stderr).toBe(`procbus: the journal no longer holds it\nprocbus: Begin at ${epoch}:40.\n`);
  });

  test.each([
    [['--since', 'yesterday'], '--since yesterday: neither a cursor nor a time'],
    [['--since', '10:75'], '--since 10:75: neither a cursor nor a time'],
    [['--max-delay', '11s'], '--max-delay 11s: not a time up to 10 seconds'],
    [['--max-delay', '5'], '--max-delay 5: not a time up to 10 seconds'],
  ])('is refused with 64 where it is wrong: %j', async (args, message) => {
    const script = await startScript();
    const refused = await watch(script, ...args);
    expect(await refused.ended).toBe(64);
    expect(refused.stderr).toContain(message);
  });

  test('goes on from the cursor that is shown at the end', async () => {
    const script = await startScript();
    const watcher = await Watcher.start(script.path, '--show-cursor', '--count', '1');
    script.say(told(1, 3));
    expect(await watcher.ended).toBe(0);
    expect(watcher.stderr.split('\n').at(-2)).toBe(`-- cursor: ${epoch}:3`);
    const interrupted = await Watcher.start(script.path, '--show-cursor');
    script.say(heartbeat(1, 9), told(1, 10));
    await until('the line', () => interrupted.lines.length === 1);
    expect(await interrupted.stop('SIGINT')).toBe(130);
    expect(interrupted.stderr.split('\n').at(-2)).toBe(`-- cursor: ${epoch}:10`);
  });
});

describe('a helper that goes while it is watched', () => {
  test('is connected to again, and nothing is missing', async () => {
    const script = await startScript();
    const watcher = await Watcher.start(script.path);
    script.say(told(1, 3));
    await until('the line', () => watcher.lines.length === 1);
    script.leave({ code: 'stopping', message: 'procbusd is stopping' });
    await watcher.says('connected again');
    script.say(told(1, 4));
    await until('the line', () => watcher.lines.length === 2);
    expect(watcher.events.map(({ seq }) => seq)).toEqual([3, 4]);
    expect(watcher.stderr.split('\n').slice(1, -1)).toEqual([
      'procbus: the helper has gone (procbusd is stopping); connecting again',
      'procbus: connected again; resumed where it was',
    ]);
  });

  test('is connected to again, and what is missing is told', async () => {
    const script = await startScript();
    const watcher = await Watcher.start(script.path, '--show-cursor');
    script.hello = { ...script.hello, epoch: 'fedcba9876543210' };
    script.refuse.set('subscribe', { code: 'gone', message: 'another run', oldest: 'fedcba9876543210:0' });
    await script.stop();
    await until('some attempts', () => watcher.stderr.includes('the helper has gone (without a word)'));
    await script.listen();
    await watcher.says('connected again; cannot resume where it was, so events are lost');
    script.say(
      helperMessage.lost(2, { where: 'kernel', count: 2, from: 1, to: 2, kernelTime: 1n, clockOffset: 0n }),
    );
    await until('both lines', () => watcher.lines.length === 2);
    expect(watcher.events).toMatchObject([{ where: 'journal', count: 0 }, { where: 'kernel' }]);
    expect(watcher.stderr.match(/has gone/g)).toHaveLength(1);
    expect(await watcher.stop()).toBe(143);
    expect(watcher.stderr).toContain('-- cursor: fedcba9876543210:2\n');
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('and does not come back is waited for until %s', async (signal, status) => {
    const script = await startScript();
    const file = join(temporaryDirectory(), 'cursor');
    const watcher = await Watcher.start(script.path, '--cursor-file', file);
    script.say(told(1, 3));
    await until('the line', () => watcher.lines.length === 1);
    await script.stop();
    await watcher.says('connecting again');
    const begin = performance.now();
    expect(await watcher.stop(signal)).toBe(status);
    expect(performance.now() - begin).toBeLessThan(2000);
    expect(cursorIn(file)).toBe(`${epoch}:3\n`);
  });

  test('and refuses us when it is back ends the watch', async () => {
    const script = await startScript();
    const watcher = await Watcher.start(script.path);
    script.refusal = { code: 'not-granted', message: 'no grant for uid 0', remedy: 'Ask.' };
    script.leave();
    expect(await watcher.ended).toBe(77);
    expect(watcher.stderr.split('\n').slice(-3)).toEqual([
      'procbus: no grant for uid 0',
      'procbus: Ask.',
      '',
    ]);
  });

  test('is not waited for by procbus ps', async () => {
    const script = await startScript('snapshot');
    const ps = new Program(process.execPath, [procbus, 'ps', '--socket', script.path]);
    await script.hears('snapshot');
    script.leave();
    expect(await ps.ended).toBe(69);
  });
});
