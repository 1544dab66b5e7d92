/*
 * What is read of real processes from the real /proc.
 */
import { readdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { actor } from '../../../test/support/actor.ts';
import { until } from '../../../test/support/condition.ts';
import { temporaryDirectory } from '../../../test/support/procbus.ts';
import { Program, run } from '../../../test/support/program.ts';
import { kernelSuite, needsProgram } from '../../../test/support/requirements.ts';
import { monotonicTime } from '../src/libc.ts';
import { decodeImage, imageFiles, readImage, readProcess, startPrecision } from '../src/processes/facts.ts';
import { argsLimit, listPids, readIds, readRaw, readStat } from '../src/processes/procfs.ts';

const cat = realpathSync('/bin/cat');

/** A program that waits until it is told to end. */
function wait(args: readonly string[] = [], options: ConstructorParameters<typeof Program>[2] = {}): Program {
  return new Program('/bin/cat', ['-', ...args], options);
}

/** Who has begun a program that has begun just now, as the threads read it. */
function begunByInTime(pid: number): number | undefined {
  return decodeImage({ person: readRaw(pid, 'person') }).begunBy;
}

const kthreadd = 2;
/** In a container pid 2 is anybody. */
const hasKernelThreads = readStat(kthreadd)?.comm === 'kthreadd';

kernelSuite('/proc', [], () => {
  test('tells program, arguments, name and directory of a process', () => {
    const directory = temporaryDirectory();
    const { pid } = wait(['a b', '', 'é €'], { cwd: directory });
    expect(readImage(pid)).toMatchObject({
      comm: 'cat',
      exe: cat,
      args: ['/bin/cat', '-', 'a b', '', 'é €'],
      argsTruncated: undefined,
      cwd: realpathSync(directory),
      detail: 'complete',
    });
  });

  test('tells of ourselves what Node says', () => {
    const image = readImage(process.pid);
    expect(image).toMatchObject({ exe: realpathSync(process.execPath), cwd: process.cwd() });
    expect(image.args?.join('\0')).toBe(readFileSync('/proc/self/cmdline', 'utf8').replace(/\0$/, ''));
    const [uid, gid] = [process.getuid?.(), process.getgid?.()];
    expect(readIds(process.pid)).toEqual({ uid, euid: process.geteuid?.(), gid, egid: process.getegid?.() });
    expect(readStat(process.pid)).toMatchObject({ ppid: process.ppid, isOver: false });
    expect(image.cgroup).toMatch(/^\//);
  });

  test('tells who a program runs as, really and in effect', async () => {
    const ids = ['--ruid=1234', '--euid=1235', '--rgid=2345', '--egid=2346', '--clear-groups'];
    const { pid } = new Program('setpriv', [...ids, '/bin/cat']);
    await until('the program', () => readImage(pid).exe === cat);
    expect(readIds(pid)).toEqual({ uid: 1234, euid: 1235, gid: 2345, egid: 2346 });
    expect(readProcess(pid)?.facts).toMatchObject({ uid: 1234, euid: 1235, gid: 2345, egid: 2346, exe: cat });
  });

  test('tells who has begun a program, where its user has', async () => {
    const { pid } = new Program('setpriv', ['--reuid=1234', '--clear-groups', '/bin/cat']);
    await until('the program', () => readImage(pid).exe === cat);
    expect(readProcess(pid)?.facts).toMatchObject({ uid: 1234, begunBy: 1234 });
    expect(readImage(pid).begunBy).toBe(1234);
    expect(begunByInTime(pid)).toBe(1234);
    const ofRoot = wait().pid;
    expect(readProcess(ofRoot)?.facts).toMatchObject({ uid: 0, begunBy: 0 });
    expect(begunByInTime(ofRoot)).toBe(0);
    // No more than that: a ring has to hold many.
    expect(readRaw(ofRoot, 'person')?.length).toBeLessThanOrEqual(120);
  });

  test('cannot tell later who began a program that acts for somebody else, though in time', async () => {
    const { pid } = new Program('setpriv', ['--ruid=1234', '--euid=1235', '--clear-groups', '/bin/cat']);
    await until('the program', () => readImage(pid).exe === cat);
    expect(readProcess(pid)?.facts).toMatchObject({ uid: 1234, euid: 1235, begunBy: undefined });
    expect(begunByInTime(pid)).toBe(1234);
  });

  test('says when it has read', () => {
    const before = monotonicTime();
    const { readAt = 0n } = readProcess(process.pid) ?? {};
    expect(readAt).toBeGreaterThan(before);
    expect(readAt).toBeLessThanOrEqual(monotonicTime());
  });

  test('tells when a process has begun, on the clock of events, and whose child it is', () => {
    const before = monotonicTime();
    const { pid } = wait([], { detached: true });
    const after = monotonicTime();
    const found = readProcess(pid);
    expect(found?.startTime).toBeGreaterThan(before - startPrecision);
    expect(found?.startTime).toBeLessThan(after + startPrecision);
    // Detached, it leads a session of its own, without a terminal.
    expect(found).toMatchObject({ ppid: process.pid, facts: { sid: pid, tty: 0 } });
  });

  test.each([
    'a b',
    ') R 1 (x',
    '(((',
    ')',
    'sp  ace',
    'tab\t) ',
    'é)€ 7 (',
    'back\\slash\\n\n',
    '\nUid:\t7\t7\t',
    '',
  ])('is understood whatever a process calls itself: %j', (name) => {
    const { title } = process;
    onTestFinished(() => void (process.title = title));
    process.title = name;
    expect(readStat(process.pid)).toMatchObject({ comm: name, ppid: process.ppid, isOver: false });
    expect(readImage(process.pid).comm).toBe(name);
  });

  test('names a program by the name it was called with', () => {
    const link = join(temporaryDirectory(), 'a longer (name) than fits');
    symlinkSync('/bin/cat', link);
    const { pid } = new Program(link, ['-']);
    expect(readImage(pid)).toMatchObject({ comm: 'a longer (name)', exe: cat, args: [link, '-'] });
    expect(readStat(pid)).toMatchObject({ comm: 'a longer (name)', ppid: process.pid });
  });

  test('tells 4 KiB of arguments, and that there were more', () => {
    const long = 'é'.repeat(3000);
    const { pid } = wait(['x', long, 'y']);
    const { args, argsTruncated } = readImage(pid);
    expect(argsTruncated).toBe(true);
    const kept = args?.at(-1) ?? '';
    expect(args).toEqual(['/bin/cat', '-', 'x', kept]);
    expect(long.startsWith(kept.replace(/\u{fffd}$/u, ''))).toBe(true);
    const bytes = readRaw(pid, 'args');
    expect(bytes).toHaveLength(argsLimit + 1);
  });

  test('tells nothing of a process that is gone', async () => {
    const { pid } = await run('/bin/true', []);
    expect([readProcess(pid), readStat(pid), readIds(pid)]).toEqual([undefined, undefined, undefined]);
    for (const file of imageFiles) expect(readRaw(pid, file)).toBeUndefined();
    expect(readImage(pid)).toMatchObject({ comm: '', detail: 'gone' });
    expect(listPids()).not.toContain(pid);
  });

  test('tells of one that has ended and is not reaped its name alone, and that it is over', async () => {
    // A cat never asks after its children.
    const parent = new Program('/bin/sh', ['-c', 'sleep 60 & echo $!; exec /bin/cat']);
    await parent.says('\n');
    await until('the parent', () => readImage(parent.pid).exe === cat);
    const pid = Number(parent.stdout);
    process.kill(pid, 'SIGKILL');
    await until('its end', () => readStat(pid)?.isOver);
    expect(readProcess(pid)).toBeUndefined();
    const image = readImage(pid);
    expect([image.exe, image.args, image.cwd]).toEqual([undefined, undefined, undefined]);
    expect(image.detail).toBe('partial');
    expect(image.comm).not.toBe('');
  });

  test('tells all processes, and nothing else that is there', () => {
    const { pid } = wait();
    const pids = listPids();
    expect(pids).toEqual(expect.arrayContaining([1, process.pid, pid]));
    expect(pids.every((each) => Number.isInteger(each) && each > 0)).toBe(true);
    expect(new Set(pids).size).toBe(pids.length);
  });

  test.runIf(hasKernelThreads)('tells of a thread of the kernel its name, and no program', () => {
    const found = readProcess(kthreadd);
    const facts = { comm: 'kthreadd', detail: 'partial', uid: 0, tty: 0, begunBy: 0 };
    expect(found).toMatchObject({ ppid: 0, facts });
    expect([found?.facts.exe, found?.facts.args]).toEqual([undefined, undefined]);
  });

  test('leaves no descriptor open, whether there is a process or not', () => {
    const descriptors = (): string => readdirSync('/proc/self/fd').join();
    const { pid } = wait();
    const before = descriptors();
    for (let round = 0; round < 200; round++) for (const each of [pid, 4_194_305]) readProcess(each);
    expect(descriptors()).toBe(before);
  });
});

kernelSuite('/proc, of a process that has become another user’s', [needsProgram('gcc')], () => {
  test.each([
    [1234, 1234],
    [1234, 0],
    [1234, 1235],
    [0, 1234],
  ])('does not name that one as who has begun its program: %i, in effect %i', async (uid, euid) => {
    const { pid } = await new Program(actor(), ['become', String(uid), String(euid)]).says('become');
    const { facts } = readProcess(pid) ?? expect.fail();
    expect(facts).toMatchObject({ uid, euid, comm: 'actor', begunBy: uid === 0 ? 0 : undefined });
  });

  test('does not do so either where it is read in time', async () => {
    const { pid } = await new Program(actor(), ['become', '1234', '1234']).says('become');
    expect(begunByInTime(pid)).toBeUndefined();
  });
});

kernelSuite('/proc, of a process whose main thread has ended', [needsProgram('gcc')], () => {
  test('knows that it goes on', async () => {
    const program = new Program(actor(), ['leader-exits']);
    const state = (): string =>
      readFileSync(`/proc/${program.pid}/stat`, 'latin1').split(') ').at(-1)?.[0] ?? '';
    await until('the main thread’s end', () => state() === 'Z');
    expect(readStat(program.pid)?.isOver).toBe(false);
    expect(readProcess(program.pid)).toMatchObject({ ppid: process.pid, facts: { comm: 'actor' } });
    program.child.stdin?.write('\n');
    await program.ended;
    expect(readProcess(program.pid)).toBeUndefined();
  });
});
