import { stripVTControlCharacters } from 'node:util';
import { eventTypes, type ProcessEvent, type ProcessInfo, type StreamEvent } from '@procbus/protocol';
import { beforeEach, describe, expect, test } from 'vitest';
import { renderLine } from '../src/cli/render.ts';

beforeEach(() => {
  process.env['TZ'] = 'UTC';
});

const make: ProcessInfo = { id: '1234.a', comm: 'make', detail: 'complete', args: ['make', '-j4', 'all'] };
const stamp = {
  seq: 4712,
  time: '2025-11-22T15:56:46.812649Z',
  kernelTime: '2364689192613',
  cpu: 1,
  pid: 1234,
  tid: 1234,
  process: make,
};

const examples: { [T in ProcessEvent['type']]: Extract<ProcessEvent, { type: T }> } = {
  fork: { ...stamp, type: 'fork', ppid: 1200, ptid: 1201, parent: { ...make, id: '1200.a', comm: 'bash' } },
  exec: { ...stamp, type: 'exec' },
  exit: { ...stamp, type: 'exit', status: 768, exitCode: 3, ppid: 1200, runtime: 1.3244 },
  uid: { ...stamp, type: 'uid', uid: 1001, euid: 0 },
  gid: { ...stamp, type: 'gid', gid: 2001, egid: 0 },
  sid: { ...stamp, type: 'sid' },
  ptrace: { ...stamp, type: 'ptrace', tracerPid: 1240, tracerTid: 1241 },
  comm: { ...stamp, type: 'comm', comm: 'kworker/Ü:1' },
  coredump: { ...stamp, type: 'coredump', ppid: 1200 },
};

const lost: StreamEvent = {
  type: 'lost',
  seq: 40,
  time: stamp.time,
  kernelTime: stamp.kernelTime,
  where: 'kernel',
  count: 31,
  from: 10,
  to: 40,
};

const plain = (event: StreamEvent): string => renderLine(event, { colour: false, threads: false });
const withThreads = (event: StreamEvent): string => renderLine(event, { colour: false, threads: true });
const exit = (fields: object): StreamEvent => ({ ...stamp, type: 'exit', ppid: 1200, ...fields });
const of = (fields: Partial<ProcessInfo>): ProcessInfo => ({ ...make, ...fields });
const { args: _, ...untold } = make;

describe('a line', () => {
  test.each<[string, StreamEvent]>([
    ['15:56:46.812649  fork      1234     make             child of 1200 bash', examples.fork],
    ['15:56:46.812649  exec      1234     make -j4 all', examples.exec],
    [
      '15:56:46.812649  exit      1234     make             exit 3 after 1.32s     make -j4 all',
      examples.exit,
    ],
    [
      '15:56:46.812649  exit      1234     make             exit 0',
      exit({ status: 0, exitCode: 0, process: untold }),
    ],
    [
      '15:56:46.812649  exit      1234     make             killed by SIGKILL after 3m02s  make -j4 all',
      exit({ status: 9, signal: 'SIGKILL', coreDumped: false, runtime: 182 }),
    ],
    [
      '15:56:46.812649  exit      1234     make             killed by SIGSEGV (core dumped) after 3.00ms',
      exit({
        status: 139,
        signal: 'SIGSEGV',
        coreDumped: true,
        runtime: 0.003,
        process: of({ args: ['make'] }),
      }),
    ],
    ['15:56:46.812649  uid       1234     make             user 1001, effective 0', examples.uid],
    ['15:56:46.812649  gid       1234     make             group 2001, effective 0', examples.gid],
    ['15:56:46.812649  sid       1234     make             new session', examples.sid],
    ['15:56:46.812649  ptrace    1234     make             traced by 1240', examples.ptrace],
    [
      '15:56:46.812649  ptrace    1234     make             no longer traced',
      { ...stamp, type: 'ptrace', tracerPid: 0, tracerTid: 0 },
    ],
    ['15:56:46.812649  comm      1234     make             named kworker/Ü:1', examples.comm],
    ['15:56:46.812649  coredump  1234     make             dumps core', examples.coredump],
    ['15:56:46.812649  lost      31 events lost: the kernel’s queue was full', lost],
    [
      '15:56:46.812649  lost      events lost, nobody can say how many: on their way from the kernel',
      { ...lost, count: 0 },
    ],
    ['15:56:46.812649  lost      31 events lost: no longer in the journal', { ...lost, where: 'journal' }],
    [
      '15:56:46.812649  lost      events lost, nobody can say how many: not in the journal',
      { ...lost, where: 'journal', count: 0, from: 0 },
    ],
    ['15:56:46.812649  lost      1 event lost: read too slowly', { ...lost, where: 'queue', count: 1 }],
  ])('says "%s"', (line, event) => {
    expect(plain(event)).toBe(line);
  });

  test.each<[string, StreamEvent]>([
    [
      '15:56:46.812649  fork      1234/1236        make             new thread',
      { ...examples.fork, tid: 1236 },
    ],
    [
      '15:56:46.812649  exit      1234/1236        make             thread ended',
      { ...examples.exit, tid: 1236 },
    ],
    [
      '15:56:46.812649  comm      4194304/4194303  make             named a',
      { ...examples.comm, pid: 4194304, tid: 4194303, comm: 'a' },
    ],
    ['15:56:46.812649  exec      1234             make -j4 all', examples.exec],
    ['15:56:46.812649  sid       1234             make             new session', examples.sid],
  ])('says "%s" where threads are shown', (line, event) => {
    expect(withThreads(event)).toBe(line);
  });

  test('of a core dump names the thread at fault', () => {
    expect(plain({ ...examples.coredump, tid: 1236 })).toContain('  dumps core, thread 1236 at fault');
  });

  test('gives the time of day where the reader is', () => {
    process.env['TZ'] = 'Asia/Kolkata';
    expect(plain(examples.exec)).toMatch(/^21:26:46\.812649 /);
  });

  test('of an end shows no more than the beginning of a long command', () => {
    const args = ['sh', '-c', 'x'.repeat(200_000)];
    const line = plain(exit({ status: 0, exitCode: 0, process: of({ args }) }));
    expect(line).toMatch(/ {2}sh -c x+…$/);
    expect(line.length).toBeLessThan(160);
  });

  test('shows what was asked for beside, behind everything else', () => {
    const process = of({
      exe: '/usr/bin/make',
      cwd: '/home/anna/my project',
      container: '4f2a',
      user: 'anna',
      ancestors: [
        { pid: 1200, comm: 'bash' },
        { pid: 1, comm: 'systemd' },
      ],
    });
    expect(plain({ ...examples.exec, process })).toBe(
      '15:56:46.812649  exec      1234     make -j4 all  user=anna container=4f2a exe=/usr/bin/make ' +
        "cwd='/home/anna/my project' ancestors=1200:bash,1:systemd",
    );
  });

  test('keeps within the width of a terminal, colours or not', () => {
    for (const event of [...eventTypes.map((type) => examples[type]), lost]) {
      for (let width = 1; width < 100; width++) {
        const line = renderLine(event, { colour: true, threads: false, width });
        const shown = stripVTControlCharacters(line);
        expect(shown.length).toBeLessThanOrEqual(width);
        expect(shown.endsWith('…') || shown === plain(event)).toBe(true);
      }
    }
  });
});

describe('what is not known of a process', () => {
  test.each<[string, StreamEvent]>([
    ['[make]  (arguments unknown)', { ...examples.exec, process: { ...untold, detail: 'partial' } }],
    [
      '?  (gone before it was read; it was bash)',
      { ...examples.exec, process: { ...untold, detail: 'gone', comm: 'bash' } },
    ],
    [
      '?  (gone before it was read; it was ?)',
      { ...examples.exec, process: { ...untold, detail: 'gone', comm: '' } },
    ],
    ['[kworker/0:1]', { ...examples.exec, process: of({ comm: 'kworker/0:1', args: [] }) }],
    ['make -j4 all …', { ...examples.exec, process: of({ argsTruncated: true }) }],
    ['(found after loss)  make -j4 all', { ...examples.exec, synthetic: true }],
    [
      'make             ended after 1.00s      (found after loss)',
      exit({ runtime: 1, synthetic: true, process: untold }),
    ],
    ['?                new session', { ...examples.sid, process: of({ comm: '' }) }],
    [
      'make             child of 1200  (found after loss)',
      { ...stamp, type: 'fork', ppid: 1200, ptid: 1200, synthetic: true },
    ],
  ])('is said: "%s"', (end, event) => {
    expect(plain(event).slice(36)).toBe(end);
  });
});

describe('colour', () => {
  const all = [...eventTypes.map((type) => examples[type]), lost];

  test.each(all)('is not used for $type unless asked for', (event) => {
    expect(plain(event)).not.toContain('\u001b');
  });

  test('is used when asked for, wherever stdout goes, and changes nothing else', () => {
    for (const event of all) {
      const line = renderLine(event, { colour: true, threads: false });
      expect(line).toContain('\u001b[');
      expect(stripVTControlCharacters(line)).toBe(plain(event));
    }
  });
});

describe('hostile text', () => {
  const hostile = '\u001b[2J\r\n\u202E\\';
  const process: ProcessInfo = {
    id: hostile,
    comm: hostile,
    detail: 'partial',
    args: [hostile.repeat(20_000), hostile],
    exe: hostile,
    cwd: hostile,
    cgroup: hostile,
    container: hostile,
    user: hostile,
    ancestors: [{ pid: 1, comm: hostile }],
  };

  test.each(eventTypes)('gives one clean line, wherever it stands in a %s', (type) => {
    const names = { process, parent: process, comm: hostile };
    const event: StreamEvent = { ...examples[type], ...names };
    const line = plain(event);
    expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    expect(line).toContain('2J');
    expect(renderLine(event, { colour: false, threads: false, width: 80 })).toHaveLength(80);
  });
});
