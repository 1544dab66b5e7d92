import { stripVTControlCharacters } from 'node:util';
import type { ProcessRecord } from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderProcesses } from '../src/cli/process-table.ts';
import { forest } from '../src/cli/process-tree.ts';

/** A process that has been there since second `pid`, unless it is said otherwise. */
function record(pid: number, ppid: number, fields: Partial<ProcessRecord> = {}): ProcessRecord {
  return {
    id: `${pid}.a`,
    pid,
    ppid,
    comm: `comm${pid}`,
    detail: 'complete',
    args: [`program${pid}`],
    user: 'root',
    uid: 0,
    euid: 0,
    gid: 0,
    egid: 0,
    sid: 1,
    startTime: new Date(pid * 1000).toISOString().replace('Z', '000Z'),
    runtime: 100,
    ...fields,
  } as ProcessRecord;
}

/** The same, of a user who has no name. */
function withoutUser({ user: _user, ...rest }: ProcessRecord): ProcessRecord {
  return rest;
}

const ended = (status: Partial<ProcessRecord>): Partial<ProcessRecord> => ({
  endTime: '2025-11-22T15:56:46.812649Z',
  ...status,
});

const machine = [
  record(1, 0, { args: ['/sbin/init'], runtime: 1_051_200 }),
  record(2, 0, { comm: 'kthreadd', args: [], runtime: 1_051_200 }),
  record(9, 2, { comm: 'kworker/0:1', args: [], runtime: 7322 }),
  record(1200, 1, { args: ['-bash'], user: 'anna', uid: 1000, runtime: 182 }),
  record(4711, 1200, { args: ['make', '-j4', 'all'], user: 'anna', uid: 1000, runtime: 1.3244 }),
  withoutUser(record(4712, 4711, { args: ['sh', '-c', 'sleep 1; exit 2'], uid: 1000, runtime: 0.0988 })),
  record(4720, 1200, { args: ['vi', 'größe'], user: 'anna', uid: 1000, runtime: 12.3 }),
];

const table = (processes: readonly ProcessRecord[], tree = false): string[] =>
  renderProcesses(processes, { colour: false, tree });

describe('a table of processes', () => {
  test('has a title and a line for each, aligned', () => {
    expect(table(machine)).toEqual([
      ' PID  PPID  USER     AGE  COMMAND',
      '   1     0  root  12d04h  /sbin/init',
      '   2     0  root  12d04h  [kthreadd]',
      '   9     2  root   2h02m  [kworker/0:1]',
      '1200     1  anna   3m02s  -bash',
      '4711  1200  anna   1.32s  make -j4 all',
      "4712  4711  1000  98.8ms  sh -c 'sleep 1; exit 2'",
      '4720  1200  anna   12.3s  vi größe',
    ]);
  });

  test('can draw who is whose child', () => {
    expect(table(machine, true)).toEqual([
      ' PID  PPID  USER     AGE  COMMAND',
      '   1     0  root  12d04h  /sbin/init',
      '1200     1  anna   3m02s  └─ -bash',
      '4711  1200  anna   1.32s     ├─ make -j4 all',
      "4712  4711  1000  98.8ms     │  └─ sh -c 'sleep 1; exit 2'",
      '4720  1200  anna   12.3s     └─ vi größe',
      '   2     0  root  12d04h  [kthreadd]',
      '   9     2  root   2h02m  └─ [kworker/0:1]',
    ]);
  });

  test('of nothing is a title', () => {
    expect(table([])).toEqual(['PID  PPID  USER  AGE  COMMAND']);
  });

  test('tells how processes ended, where some have', () => {
    const processes = [
      record(1, 0),
      record(5, 1, ended({ status: 0, exitCode: 0 })),
      record(6, 1, ended({ status: 256, exitCode: 1 })),
      record(7, 1, ended({ status: 9, signal: 'SIGKILL', coreDumped: false })),
      record(8, 1, ended({ status: 139, signal: 'SIGSEGV', coreDumped: true })),
      record(9, 1, ended({})),
    ];
    expect(table(processes)).toEqual([
      'PID  PPID  USER    AGE  END             COMMAND',
      '  1     0  root  1m40s  -               program1',
      '  5     1  root  1m40s  exit 0          program5',
      '  6     1  root  1m40s  exit 1          program6',
      '  7     1  root  1m40s  SIGKILL         program7',
      '  8     1  root  1m40s  SIGSEGV (core)  program8',
      '  9     1  root  1m40s  ended           program9',
    ]);
  });

  test('tells of containers, where there are some', () => {
    expect(table([record(1, 0), record(2, 1, { container: '4f2a9b'.repeat(10) })])).toEqual([
      'PID  PPID  USER    AGE  CONTAINER     COMMAND',
      '  1     0  root  1m40s  -             program1',
      '  2     1  root  1m40s  4f2a9b4f2a9b  program2',
    ]);
  });

  test('shows behind the command what was asked for and has no column', () => {
    const fields = { exe: '/usr/bin/make', cwd: '/home/anna/my project', cgroup: '/a', container: 'c1' };
    const processes = [
      record(1, 0),
      record(2, 1, { ...fields, ancestors: [{ pid: 1, comm: 'init' }], args: ['make'] }),
    ];
    const include = ['cwd', 'ancestors', 'user', 'container', 'args'] as const;
    expect(renderProcesses(processes, { colour: false, tree: false, include })).toEqual([
      'PID  PPID  USER    AGE  CONTAINER  COMMAND',
      '  1     0  root  1m40s  -          program1',
      "  2     1  root  1m40s  c1         make  cwd='/home/anna/my project' ancestors=1:init",
    ]);
    expect(renderProcesses(processes, { colour: false, tree: false })[2]).toMatch(/make$/);
  });

  test('is aligned by what is seen of a name', () => {
    expect(table([record(1, 0, { user: '日本' }), record(2, 1, { user: 'x'.repeat(40) })])).toEqual([
      'PID  PPID  USER                AGE  COMMAND',
      '  1     0  日本              1m40s  program1',
      '  2     1  xxxxxxxxxxxxxxx…  1m40s  program2',
    ]);
  });

  test('is cut to the width of a terminal', () => {
    const lines = renderProcesses(machine, { colour: true, tree: true, width: 40 });
    expect(lines.map((line) => stripVTControlCharacters(line))[4]).toBe(
      '4712  4711  1000  98.8ms     │  └─ sh -…',
    );
    for (const line of lines) expect(stripVTControlCharacters(line).length).toBeLessThanOrEqual(40);
  });

  test('has colours where they are wanted, and they change nothing else', () => {
    const lines = renderProcesses(machine, { colour: true, tree: false });
    expect(lines[0]).toContain('\u001b[1m');
    expect(lines.map((line) => stripVTControlCharacters(line))).toEqual(table(machine));
    expect(table(machine).join('')).not.toContain('\u001b');
  });

  test('is clean whatever processes say of themselves', () => {
    const hostile = '\u001b[2J\r\n\u202E';
    const process = record(1, 0, {
      comm: hostile,
      args: [hostile.repeat(30_000), hostile],
      user: hostile,
      container: hostile,
    });
    const lines = [...table([process]), ...table([{ ...process, args: [] }], true)];
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
  });
});

describe('a forest of processes', () => {
  test('begins anew where a parent is not in the list', () => {
    const branches = forest([record(5, 4), record(6, 5), record(7, 3)]);
    expect(branches.map(({ process, prefix }) => prefix + process.pid)).toEqual(['5', '└─ 6', '7']);
  });

  test('holds those too that are each other’s ancestors', () => {
    const branches = forest([record(1, 0), record(5, 6), record(6, 5), record(7, 7), record(8, 6)]);
    expect(branches.map(({ process, prefix }) => prefix + process.pid)).toEqual([
      '1',
      '7',
      '5',
      '└─ 6',
      '   └─ 8',
    ]);
  });

  test('gives a child to the one of two with the same pid that was there before it', () => {
    const at = (second: number): string => `2025-11-22T15:56:${second}.000000Z`;
    const [first, second] = [record(5, 1, ended({ startTime: at(10) })), record(5, 1, { startTime: at(30) })];
    const children = [record(6, 5, { startTime: at(20) }), record(7, 5, { startTime: at(40) })];
    const branches = forest([first, second, ...children]);
    expect(branches.map(({ process }) => process)).toEqual([first, children[0], second, children[1]]);
  });

  test('can be deeper than any stack, and its lines do not grow with it', () => {
    const chain = Array.from({ length: 50_000 }, (_, index) => record(index + 1, index));
    const branches = forest(chain);
    expect(branches).toHaveLength(chain.length);
    expect(branches.at(-1)?.process.pid).toBe(50_000);
    expect(Math.max(...branches.map(({ prefix }) => prefix.length))).toBeLessThan(150);
  });

  test('holds each process once, and draws each below its parent, whatever is said of parents', () => {
    const ids = fc.integer({ min: 0, max: 12 });
    fc.assert(
      fc.property(fc.array(fc.tuple(ids, ids), { maxLength: 20 }), (pairs) => {
        const processes = pairs.map(([pid, ppid]) => record(pid, ppid));
        const branches = forest(processes);
        expect(new Set(branches.map(({ process }) => process))).toEqual(new Set(processes));
        expect(branches).toHaveLength(processes.length);
        for (const [index, { process, prefix }] of branches.entries()) {
          if (prefix === '') continue;
          const parent = branches
            .slice(0, index)
            .findLast((before) => before.prefix.length === prefix.length - 3);
          expect(parent?.process.pid).toBe(process.ppid);
        }
      }),
    );
  });
});
