/*
 * SIGHUP: the configuration is read again while everybody goes on; or the terminal has gone.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type StreamEvent } from '@procbus/client';
import { expect, test } from 'vitest';
import type { Identity } from '../packages/helper/test/support/impersonate.ts';
import { makeGroup, makeUser, runAs, type TestUser } from './support/accounts.ts';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { procbus, procbusd, startHelper, temporaryDirectory, type RunningHelper } from './support/procbus.ts';
import { Program, run } from './support/program.ts';
import { Recorder } from './support/recorder.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

const done = 'read the configuration again';
const failed = 'the configuration is as it was before';

/** A helper with a file, and how to have it read another one. */
class Configured {
  readonly #file: string;
  readonly #helper: RunningHelper;

  static async start(text: string): Promise<Configured> {
    const file = join(temporaryDirectory(), 'procbusd.toml');
    writeFileSync(file, text);
    return new Configured(file, await startHelper('--config', file));
  }

  private constructor(file: string, helper: RunningHelper) {
    this.#file = file;
    this.#helper = helper;
  }

  get socket(): string {
    return this.#helper.socket;
  }

  get log(): string {
    return this.#helper.program.stderr;
  }

  /** Has it read another file, or see that there is none; resolves with what it said to that. */
  async reload(text: string | undefined): Promise<string> {
    const before = this.log.length;
    if (text === undefined) rmSync(this.#file);
    else writeFileSync(this.#file, text);
    this.#helper.program.child.kill('SIGHUP');
    return until('an answer', () => {
      const said = this.log.slice(before);
      return (said.includes(done) || said.includes(failed)) && said.replaceAll(this.#file, 'FILE');
    });
  }
}

const socketForAll = '[socket]\nmode = "0666"\n';
const grant = (...lines: string[]): string => ['[[grant]]', ...lines, ''].join('\n');
const forRoot = grant('user = "root"');
const forUser = ({ name }: TestUser, ...lines: string[]): string => grant(`user = "${name}"`, ...lines);

kernelSuite('SIGHUP', [needsProgram('gcc'), needsProgram('useradd'), needsProgram('setpriv')], () => {
  test('has a good file read; a bad one is named with line and column, and the one before stays', async () => {
    const helper = await Configured.start(forRoot);
    await using bus = await connect({ socket: helper.socket });
    await using other = await connect({ socket: helper.socket });
    expect(await helper.reload(`[limits]\nsubscriptions = 1\n${forRoot}`)).toBe(`procbusd: ${done}\n`);

    const bad = await helper.reload(`[limits]\nsubscriptions = "many"\nconections = 5\n${forRoot}`);
    expect(bad).toMatch(/^procbusd: FILE:2:17: .*\nprocbusd: FILE:3:1: .*connections/);
    expect(bad).toContain(failed);
    for (const wrong of ['nonsense', '[[grant]]\nuser = "no such user"\n', undefined]) {
      expect(await helper.reload(wrong)).toContain(failed);
    }

    // It goes by the last good one, also for who was connected already.
    const watch = bus.watch();
    await watch.ready;
    await expect(other.watch().ready).rejects.toMatchObject({ code: 'quota' });
    expect(await helper.reload(`[limits]\nsubscriptions = 2\n${forRoot}`)).toContain(done);
    await other.watch().ready;
  });

  test('narrows what a user is told who is connected, and sends away one who is granted nothing', async () => {
    const anna = makeUser();
    const helper = await Configured.start(socketForAll + forRoot + forUser(anna));
    const command = [process.execPath, procbus, 'watch', '--json', '--socket', helper.socket];
    const watcher = runAs(anna, command);
    await watcher.says('watching');
    /** Has root run a program and then anna; resolves with what her watcher told of each. */
    const runBoth = async (): Promise<[ofRoot: StreamEvent[], ofAnna: StreamEvent[]]> => {
      const programs = [await run('/bin/true', []), runAs(anna, ['/bin/true'])];
      const [ofRoot, ofAnna] = programs.map(({ pid }) => pid);
      const told = (pid: number | undefined): StreamEvent[] =>
        watcher.lines
          .map((line) => JSON.parse(line) as StreamEvent)
          .filter((event) => event.type !== 'lost' && event.pid === pid);
      await until('the end of hers', () => told(ofAnna).some(({ type }) => type === 'exit'));
      return [told(ofRoot), told(ofAnna)];
    };
    const types = (events: readonly StreamEvent[]): string[] => events.map(({ type }) => type);

    const [all] = await runBoth();
    expect(types(all)).toEqual(['fork', 'exec', 'exit']);
    await helper.reload(socketForAll + forRoot + forUser(anna, 'scope = "own"'));
    const [nothing, own] = await runBoth();
    expect(nothing).toEqual([]);
    expect(types(own).slice(-2)).toEqual(['exec', 'exit']);
    await helper.reload(socketForAll + forRoot + forUser(anna, 'events = ["exec", "exit"]'));
    const [some] = await runBoth();
    expect(types(some)).toEqual(['exec', 'exit']);
    await helper.reload(socketForAll + forRoot);
    expect(await watcher.ended).toBe(77);
    expect(watcher.stderr).toContain(`no grant is for uid ${anna.uid} (${anna.name})`);
  });

  test('100 times, with good files and bad ones, drops nothing and shows nobody what is not granted', async () => {
    const group = makeGroup();
    const [anna, ben, member] = [makeUser(), makeUser(), makeUser(group)];
    const own = 'scope = "own"';
    const file = (ofAnna: string, round: number): string =>
      [
        socketForAll,
        // Whoever is connected gets a new grant each time, if only for this.
        `[limits]\nconnections = ${100 + round}\n`,
        forRoot,
        grant(`group = "${group}"`),
        forUser(ben, own),
        forUser(anna, ofAnna),
      ].join('\n');
    const helper = await Configured.start(file('', 0));
    const storm = [actor(), 'fork-storm', '100000000'];
    const storms = [new Program(actor(), storm.slice(1)), runAs(anna, storm), runAs(ben, storm)];
    const nameOf = ({ pid }: Program): string => readFileSync(`/proc/${pid}/comm`, 'utf8');
    await until('the storms', () => storms.every((program) => nameOf(program) === 'actor\n'));

    const all = { threads: true };
    const { socket } = helper;
    const reference = await Recorder.subscribe(socket, all);
    const ofAnna = await Recorder.subscribe(socket, { ...all, uids: [anna.uid] });
    const ofBen = await Recorder.subscribe(socket, { ...all, uids: [ben.uid] });
    const inGroup = await Recorder.subscribe(socket, all, identityOf(member));
    const asAnna = await Recorder.subscribe(socket, all, identityOf(anna));
    const asBen = await Recorder.subscribe(socket, all, identityOf(ben));
    const recorders = [reference, ofAnna, ofBen, inGroup, asAnna, asBen];

    const changes: Change[] = [];
    let scope: Change['to'] = 'all';
    for (let round = 1; round <= 100; round++) {
      const kind = (['good', 'bad', 'other', 'bad'] as const)[round % 4];
      if (kind === 'other') scope = scope === 'all' ? 'own' : 'all';
      const text = file(scope === 'own' ? own : '', round);
      const after = await reference.position();
      const said = await helper.reload(kind === 'bad' ? `${text}\nsubscriptions = 1` : text);
      expect(said).toContain(kind === 'bad' ? failed : done);
      changes.push({ to: scope, after, before: await reference.position() });
    }
    const end = await reference.position();
    await until('all to be told', () => recorders.every(({ seq }) => seq >= end));
    for (const program of storms) program.child.kill('SIGKILL');

    expect(recorders.flatMap(({ others }) => others)).toEqual([]);
    const upToEnd = ({ numbers }: Recorder): number[] => numbers.filter((number) => number <= end);
    expect(upToEnd(reference)).toEqual(range(reference.start + 1, end));
    expect(end - reference.start).toBeGreaterThan(10_000);
    expect(upToEnd(inGroup)).toEqual(range(inGroup.start + 1, end));
    expect(upToEnd(asBen)).toEqual(upToEnd(ofBen).filter((number) => number > asBen.start));
    expect(oddities(upToEnd(asAnna), range(asAnna.start + 1, end), new Set(ofAnna.numbers), changes)).toEqual(
      [],
    );
  });

  test('programs are read only where a grant tells somebody of them', async () => {
    const helper = await Configured.start(grant('user = "root"', 'detail = "ids"'));
    const began = new Program('/bin/cat', []);
    const readerOf = async (): Promise<unknown> => {
      await using bus = await connect({ socket: helper.socket });
      return (await bus.stats()).helper?.programReader;
    };
    expect(await readerOf()).toBe('off');
    await helper.reload(forRoot);
    expect(await readerOf()).not.toBe('off');
    await using bus = await connect({ socket: helper.socket });
    const [process] = (await bus.list({ pids: [began.pid] })).processes;
    expect(process).toMatchObject({ comm: 'cat', args: ['/bin/cat'], detail: 'complete' });
    // Nothing was lost, so nothing has to be made up.
    expect((await bus.stats()).helper?.lost.kernel).toBe(0);
  });

  test.each([
    ['itself', []],
    ['in the background of a shell', ['/bin/sh', '-c', '"$@" & wait', 'sh']],
  ])('from a terminal that goes, for a helper that runs in it %s, ends the helper', async (_how, before) => {
    const socket = join(temporaryDirectory(), 'procbus.sock');
    const command = [...before, process.execPath, procbusd, '--socket', socket, '--config', '/dev/null'];
    const terminal = await run('python3', ['-c', inTerminal, ...command]);
    expect(terminal.stdout).toContain(done);
    await until('it to have removed its socket', () => !existsSync(socket));
  });
});

/** A user with the groups that it would have if it logged in. */
function identityOf({ name, uid }: TestUser): Identity {
  const groups = execFileSync('id', ['-G', name], { encoding: 'utf8' });
  return { uid, groups: groups.trim().split(' ').map(Number) };
}

/** A reload: the change took place at one point of the stream behind `after`, and not behind `before`. */
interface Change {
  readonly to: 'all' | 'own';
  readonly after: number;
  readonly before: number;
}

/** What is wrong with what was told to somebody whose grant went to and fro; at first it was `all`. */
function oddities(
  told: readonly number[],
  all: readonly number[],
  own: ReadonlySet<number>,
  changes: readonly Change[],
): string[] {
  const wrong: string[] = [];
  const isTold = new Set(told);
  if (isTold.size !== told.length) wrong.push('something is told twice');
  if (told.some((number, index) => number <= (told[index - 1] ?? 0))) wrong.push('the order is another one');
  for (const number of all) {
    if (own.has(number) && !isTold.has(number)) wrong.push(`${number}, which is their own, is not told`);
  }
  // Of others: what is told has to be a stretch that begins and ends with a change.
  const others = all.filter((number) => !own.has(number));
  let at = 0;
  let scope: Change['to'] = 'all';
  const expectAll = (last: number): void => {
    for (; at < others.length && (others[at] as number) <= last; at++) {
      const number = others[at] as number;
      if (isTold.has(number) !== (scope === 'all')) wrong.push(`${number} while ${scope} was granted`);
    }
  };
  for (const { to, after, before } of changes) {
    expectAll(after);
    if (to === scope) continue;
    const first = others.findIndex((number) => number > after && isTold.has(number) === (to === 'all'));
    expectAll(Math.min(before, first < 0 ? before : (others[first] as number) - 1));
    scope = to;
    expectAll(before);
  }
  expectAll(Infinity);
  return wrong;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** Runs a helper in a terminal of its own: has it read its configuration again, and then hangs up. */
const inTerminal = `
import os, pty, re, signal, sys
signal.alarm(60)
child, terminal = pty.fork()
if child == 0: os.execv(sys.argv[1], sys.argv[1:])
def wait_for(text, said=b''):
    while text not in said: said += os.read(terminal, 4096)
    print(said.decode(), flush=True)
wait_for(b'listening')
path = sys.argv[sys.argv.index('--socket') + 1].encode()
for pid in filter(str.isdigit, os.listdir('/proc')):
    try: line = open(f'/proc/{pid}/cmdline', 'rb').read().split(b'\\0')
    except OSError: continue
    if path in line and b'-c' not in line: os.kill(int(pid), signal.SIGHUP)
wait_for(b'read the configuration again')
os.close(terminal)
os.waitpid(child, 0)
`;
