/*
 * Who it is: what the helper knows of real programs, also of those that end at once.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { userInfo } from 'node:os';
import { connect, type ProcessRecord, type StreamEvent } from '@procbus/client';
import { expect, onTestFinished, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { startHelper, temporaryDirectory, Watcher } from './support/procbus.ts';
import { Program, run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

const everything = 'exe,args,cwd,cgroup,container,user,ancestors';

kernelSuite('who it is', [needsProgram('gcc')], () => {
  test('all that was asked for is told of a program that ends at once', async () => {
    const { socket } = await startHelper();
    const watcher = await Watcher.start(socket, '--include', everything);
    const cwd = temporaryDirectory();
    const { pid } = await run(actor(), ['exit', '7', 'größe', ''], { cwd });
    await until('the exit', () => watcher.hasEnded(pid));

    const [fork, exec, exit] = watcher.of(pid) as (StreamEvent & { type: 'fork' })[];
    const facts = {
      id: exec?.process.id,
      comm: 'actor',
      detail: 'complete',
      exe: realpathSync(actor()),
      args: [actor(), 'exit', '7', 'größe', ''],
      cwd: realpathSync(cwd),
      cgroup: readFileSync('/proc/self/cgroup', 'utf8').trim().split('::').at(-1),
      user: userInfo().username,
    };
    expect(exec?.process).toMatchObject(facts);
    expect(exit?.process).toMatchObject(facts);
    expect(fork?.process).toMatchObject({ id: facts.id, exe: realpathSync(process.execPath) });
    // The chain begins with us, and ends with the first process.
    expect(exec?.process.ancestors?.[0]).toMatchObject({ pid: process.pid });
    expect(exec?.process.ancestors?.at(-1)).toMatchObject({ pid: 1 });
  });

  test('a filter by anything that is known lets through what matches, and nothing else', async () => {
    const { socket } = await startHelper();
    const filters: string[][] = [
      ['--exe', '*/actor', '--args', '* exit 3*'],
      ['--comm', 'act?r', '--exit', '3'],
      ['--exit', 'failed', '--not-exit', 'signaled', '--not-comm', 'sh'],
      ['--user', 'nobody', '--events', 'uid,exit', '--comm', 'actor'],
      ['--subtree', String(process.pid), '--events', 'exec'],
      ['--max-runtime', '1h', '--min-runtime', '1ms', '--pid', '1'],
    ];
    const watchers = await Promise.all(filters.map(async (filter) => Watcher.start(socket, ...filter)));
    const [byArgs, byExit, failed, ofNobody, ours, ofInit] = watchers as [Watcher, ...Watcher[]];
    const three = await run(actor(), ['exit', '3']);
    const killed = await run(actor(), ['kill', '9']);
    const nobody = await run(actor(), ['uid', '65534']);
    const markers = [
      ['exit', '3'],
      ['uid', '65534'],
    ].map(async (deed) => run(actor(), deed));
    const [last, lastOfNobody] = await Promise.all(markers);
    const told = (watcher: Watcher | undefined, pid: number | undefined): string[] =>
      (watcher?.of(pid ?? 0) ?? []).map(({ type }) => type);

    await until('the last exec', () => told(ours, last?.pid).length > 0);
    await until('the last exit', () =>
      [byArgs, byExit, failed].every((each) => told(each, last?.pid).includes('exit')),
    );
    await until('the last of nobody', () => told(ofNobody, lastOfNobody?.pid).length === 2);
    expect(told(byArgs, three.pid)).toEqual(['exec', 'exit']);
    expect(told(byArgs, killed.pid)).toEqual([]);
    expect(told(byExit, three.pid)).toEqual(['exit']);
    expect(told(byExit, killed.pid)).toEqual([]);
    expect(told(failed, three.pid)).toEqual(['exit']);
    expect(told(failed, killed.pid)).toEqual([]);
    expect(told(ofNobody, nobody.pid)).toEqual(['uid', 'exit']);
    expect(told(ofNobody, three.pid)).toEqual([]);
    expect(told(ours, killed.pid)).toEqual(['exec']);
    expect(ofInit?.events).toEqual([]);
  });

  test('a list has those that live and, on request, how others have ended', async () => {
    const { socket } = await startHelper();
    await using bus = await connect({ socket });
    const sleeper = new Program('/bin/sleep', ['1000']);
    onTestFinished(() => void sleeper.child.kill('SIGKILL'));
    const gone = await run(actor(), ['exit', '5']);

    const byPid = async (pid: number, ended: boolean): Promise<ProcessRecord | undefined> =>
      (await bus.list({ pids: [pid] }, { ended })).processes.at(-1);
    await until('the exec', async () => (await byPid(sleeper.pid, false))?.comm === 'sleep');
    expect(await byPid(sleeper.pid, false)).toMatchObject({
      pid: sleeper.pid,
      ppid: process.pid,
      args: ['/bin/sleep', '1000'],
      user: userInfo().username,
      uid: userInfo().uid,
      runtime: expect.closeTo(0, 0),
    });
    expect(await byPid(gone.pid, false)).toBeUndefined();
    expect(await byPid(gone.pid, true)).toMatchObject({ comm: 'actor', exitCode: 5, status: 1280 });
    const all = await bus.list();
    expect(all.processes.length).toBeGreaterThan(20);
    expect(all.processes.filter(({ pid }) => pid === 2)).toMatchObject([{ comm: 'kthreadd', ppid: 0 }]);
    expect(all.cursor).toMatch(/^[0-9a-f]{16}:\d+$/);
  });

  test('a wrong filter is refused by its field', async () => {
    const { socket } = await startHelper();
    await using bus = await connect({ socket });
    const refused = async (filter: object): Promise<unknown> =>
      bus.list(filter).catch((error: unknown) => error);
    expect(await refused({ users: ['no such user'] })).toMatchObject({
      code: 'bad-filter',
      message: 'users: there is no user "no such user"',
    });
    expect(await refused({ not: { subtree: [2 ** 22 + 1] } })).toMatchObject({
      code: 'bad-filter',
      message: `not.subtree: there is no process ${2 ** 22 + 1}`,
    });
    expect(await refused({ comm: ['[a-'] })).toMatchObject({
      message: expect.stringMatching(/^comm: the pattern/),
    });
  });
});
