/*
 * procbus ps and the lines of procbus watch, as programs, at a helper that follows a script.
 */
import { helperMessage, packFrame, type WireProcess } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { answerAs, politely } from './support/impostor.ts';
import { procbus } from './support/procbus.ts';
import { run, type Program } from './support/program.ts';
import { eventsHead } from '../packages/protocol/test/wire-event.ts';

const clockOffset = 1_763_824_642_000_000_000n;

const processOf = (
  pid: number,
  ppid: number,
  args: string[],
  fields: Partial<WireProcess> = {},
): WireProcess => ({
  id: `${pid}.a`,
  pid,
  ppid,
  comm: args[0] ?? 'kthreadd',
  detail: 'complete',
  args,
  user: 'anna',
  uid: 1000,
  euid: 1000,
  gid: 1000,
  egid: 1000,
  sid: 1,
  tty: 0,
  startTime: 1_000_000_000n,
  ...fields,
});

const machine = [
  processOf(30, 20, ['sh', '-c', 'exit 3\n'], { endTime: 2_500_000_000n, status: 768 }),
  processOf(20, 1, ['make', 'all']),
  processOf(1, 0, ['init'], { exe: '/sbin/init', cwd: '/' }),
];

/** Answers like a helper of this machine; `asked` is what it was asked for. */
async function serveMachine(asked: unknown[][] = []): Promise<string> {
  return answerAs((type, request, ...rest) => {
    asked.push([type, ...rest]);
    if (type !== 'snapshot') return politely(type, request);
    const position = { seq: 1, clockOffset, kernelTime: 11_000_000_000n };
    return [
      [...helperMessage.processesHead(request as number), machine],
      helperMessage.result(request as number, helperMessage.snapshotPosition(position)),
    ];
  });
}

async function runProcbus(...args: string[]): Promise<Program> {
  return run(process.execPath, [procbus, ...args]);
}

describe('procbus ps', () => {
  test('prints a table, with full lines and without colours where it goes into a pipe', async () => {
    const ps = await runProcbus('ps', '--tree', '--ended', '--socket', await serveMachine());
    expect(ps.stderr).toBe('');
    expect(await ps.ended).toBe(0);
    expect(ps.lines).toEqual([
      'PID  PPID  USER    AGE  END     COMMAND',
      '  1     0  anna  10.0s  -       init',
      ' 20     1  anna  10.0s  -       └─ make all',
      String.raw` 30    20  anna  1.50s  exit 3     └─ sh -c $'exit 3\n'`,
    ]);
  });

  test('prints with --json the records of the library', async () => {
    const ps = await runProcbus('ps', '--json', '--socket', await serveMachine());
    expect(await ps.ended).toBe(0);
    const records = ps.lines.map((line) => JSON.parse(line) as object);
    expect(records).toMatchObject([
      { pid: 1, args: ['init'], startTime: '2025-11-22T15:17:23.000000Z', runtime: 10 },
      { pid: 20, ppid: 1 },
      { pid: 30, exitCode: 3, runtime: 1.5 },
    ]);
  });

  test('that is asked how processes ended asks for those that have', async () => {
    const asked: unknown[][] = [];
    const args = ['ps', '--exit', 'failed', '--not-comm', 'a,b', '--socket', await serveMachine(asked)];
    expect(await (await runProcbus(...args)).ended).toBe(0);
    expect(asked).toContainEqual(['snapshot', { exit: ['failed'], not: { comm: ['a,b'] } }, true]);
  });

  test('asks for what is to be included, and shows it', async () => {
    const asked: unknown[][] = [];
    const ps = await runProcbus('ps', '--include', 'cwd,exe', '--socket', await serveMachine(asked));
    expect(await ps.ended).toBe(0);
    expect(asked).toContainEqual(['snapshot', { include: ['cwd', 'exe'] }, false]);
    expect(ps.lines[1]).toMatch(/ init  exe=\/sbin\/init cwd=\/$/);
  });

  test.each([
    [['--pid', 'init'], '--pid: "init" is not a pid'],
    [['--not-min-runtime', '5'], '--not-min-runtime 5: not a time'],
    [['--events', 'exec'], 'Unknown argument: events'],
    [['--nonsense'], 'Unknown argument: nonsense'],
  ])('refuses %j with 64, and says why', async (args, message) => {
    const refused = await runProcbus('ps', ...args);
    expect(await refused.ended).toBe(64);
    expect(refused.stderr).toContain(message);
  });

  test('that cannot write says so, and ends with 74', async () => {
    const socket = await serveMachine();
    const command = [process.execPath, procbus, 'ps', '--socket', socket];
    const ps = await run('/bin/sh', ['-c', '"$0" "$@" > /dev/full', ...command]);
    expect(ps.stderr).toContain('ENOSPC');
    expect(await ps.ended).toBe(74);
  });

  test('ends quietly when the reader of its output goes', async () => {
    const socket = await serveMachine();
    const command = [process.execPath, procbus, 'ps', '--socket', socket];
    const ps = await run('/bin/sh', ['-c', '{ "$0" "$@"; echo "status $?" >&2; } | true', ...command]);
    await ps.ended;
    expect(ps.stderr).toBe('status 0\n');
  });
});

describe('procbus watch', () => {
  /** Tells one exec as soon as it is asked. */
  const serveExec = async (args: string[], asked: unknown[] = []): Promise<string> =>
    answerAs((type, request, filter) => {
      if (type !== 'subscribe') return politely(type, request);
      asked.push(filter);
      const about = { process: { id: '7.a', comm: 'sh', detail: 'complete', args } };
      const events = [['exec', 1, 1n, 0, 7, 7, about]];
      return [...politely(type, request), [...eventsHead(request as number, 1, clockOffset), events]];
    });

  test('shows a hostile command in one clean line', async () => {
    const args = ['\u001b[2J\r\n\u202E\uFFFD'.repeat(30_000), 'x'];
    expect(packFrame(args).length).toBeGreaterThan(200 * 1024);
    const watch = await runProcbus('watch', '--count', '1', '--socket', await serveExec(args));
    expect(await watch.ended).toBe(0);
    expect(watch.lines).toHaveLength(1);
    expect(watch.lines[0]).toMatch(/^[\d:.]{15} {2}exec {6}7 {8}\$'\\x1b\[2J\\r\\n\\u202e\uFFFD\\x1b/);
    expect(watch.lines[0]).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
  });

  test('prints events with --json as they are, and asks for no more than it was told to', async () => {
    const asked: unknown[] = [];
    const socket = await serveExec(['a', ''], asked);
    const watch = await runProcbus(
      'watch',
      '--json',
      '--include',
      'user,cwd',
      '--count',
      '1',
      '--socket',
      socket,
    );
    expect(await watch.ended).toBe(0);
    expect(JSON.parse(watch.stdout)).toMatchObject({ type: 'exec', pid: 7, process: { args: ['a', ''] } });
    expect(asked).toEqual([{ include: ['user', 'cwd'], threads: false }]);
  });

  test('asks for arguments where lines are for people', async () => {
    const asked: unknown[] = [];
    const socket = await serveExec(['a', ''], asked);
    const watch = await runProcbus('watch', '--events', 'exec', '--count', '1', '--socket', socket);
    expect(watch.lines[0]).toMatch(/  exec {6}7 {8}a ''$/);
    expect(asked).toEqual([{ events: ['exec'], include: ['args'], threads: false }]);
  });

  test('that cannot write its last lines says so, too', async () => {
    const socket = await serveExec(['a']);
    const command = [process.execPath, procbus, 'watch', '--count', '1', '--socket', socket];
    const watch = await run('/bin/sh', ['-c', '"$0" "$@" > /dev/full', ...command]);
    expect(await watch.ended).toBe(74);
    expect(watch.stderr).toContain('ENOSPC');
  });
});
