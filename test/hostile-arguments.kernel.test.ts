/*
 * What a process says of itself may be long, no text at all, and meant for the terminal of whoever looks.
 */
import { readFileSync } from 'node:fs';
import type { ExecEvent, ProcessRecord } from '@procbus/client';
import { expect, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { peakOf } from './support/memory.ts';
import { procbus, startHelper, Watcher } from './support/procbus.ts';
import { Program, run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

/** What is told of them. */
const argsLimit = 4096;

kernelSuite('hostile arguments', [needsProgram('gcc')], () => {
  test('in JSON they are the first 4 KiB, what is no text replaced, and are said to be cut', async () => {
    const { socket } = await startHelper();
    const watcher = await Watcher.start(socket, '--include', 'args');
    const program = new Program(actor(), ['hostile', 'linger']);
    const exec = await until('the exec', () => lastExec(watcher, program.pid));

    const raw = readFileSync(`/proc/${program.pid}/cmdline`);
    expect(raw.length).toBeGreaterThan(200 * 1024);
    const args = raw.subarray(0, argsLimit).toString('utf8').split('\0');
    for (const hostile of ['\u001b', '\n', '\ufffd']) expect(args.join('')).toContain(hostile);
    expect(exec.process).toMatchObject({ args, argsTruncated: true, detail: 'complete' });

    const listed = await ps(socket, '--json', '--pid', String(program.pid));
    expect(listed.map((line) => JSON.parse(line) as ProcessRecord)).toMatchObject([
      { pid: program.pid, args, argsTruncated: true, detail: 'complete' },
    ]);
    await program.stop('SIGKILL');
  });

  test('for people there is one line for each event and each process, and nothing that a terminal obeys', async () => {
    const { socket } = await startHelper();
    const json = await Watcher.start(socket);
    const text = new Program(process.execPath, [procbus, 'watch', '--socket', socket]);
    await text.says('watching');
    const program = new Program(actor(), ['hostile', 'linger']);
    await until('the exec', () => lastExec(json, program.pid));
    const listed = await ps(socket);
    const trees = await ps(socket, '--tree', '--ended');
    program.child.stdin?.end();
    await until('the exit', () => json.hasEnded(program.pid));
    const marker = await run(actor(), ['exit', '77']);
    await until('a later exit', () => json.hasEnded(marker.pid));
    await text.says('exit 77');

    for (const lines of [text.lines, listed, trees]) {
      expect(lines.filter((line) => !isClean(line))).toEqual([]);
    }
    expect(text.lines.filter((line) => !/^\d\d:\d\d:\d\d\.\d{6}  [a-z]+ +\d+  /.test(line))).toEqual([]);
    const lines = text.lines.filter((line) => Number(line.split(/ +/)[2]) === program.pid);
    const types = json.of(program.pid).map(({ type }) => type);
    expect(lines.map((line) => line.split(/ +/)[1])).toEqual(types);
    expect(types).toEqual(['fork', 'exec', 'comm', 'exec', 'exit']);
    // Cut, yet with all that it begins with, as bash would read it.
    const exec = lines[3] as string;
    expect(exec).toContain(String.raw`$'\x1b[2J\x1b]0;title\x07 \n\r\t`);
    expect(exec).toMatch(/ …$/);
    expect(exec.length).toBeLessThan(6 * argsLimit);

    for (const rows of [listed, trees]) {
      expect(rows[0]).toMatch(/^ *PID /);
      expect(rows.slice(1).filter((row) => !/^ *\d+ +\d+ /.test(row))).toEqual([]);
      expect(rows.filter((row) => Number(row.trim().split(/ +/)[0]) === program.pid)).toHaveLength(1);
    }
  });

  test('200 in a row leave the memory of the helper flat', async () => {
    const { socket, program: helper } = await startHelper();
    const watcher = await Watcher.start(socket, '--include', 'args', '--events', 'exec,exit');
    const inARow = async (rounds: number): Promise<void> => {
      for (let round = 0; round < rounds; round++) {
        const program = new Program(actor(), ['hostile', 'linger']);
        // It stays until it has been told, so that it cannot but be read.
        const exec = await until('the exec', () => lastExec(watcher, program.pid));
        expect(exec.process.argsTruncated).toBe(true);
        program.child.stdin?.end();
        await program.ended;
      }
    };
    await inARow(100);
    const warm = peakOf(helper.pid);
    await inARow(200);
    // A helper remembers for a minute what has ended: 200 times 4,096 characters of two bytes, which is less
    // than 2 MiB, and some of that again as garbage. Had it kept all of the arguments, it were 40 MiB and more.
    expect(peakOf(helper.pid) - warm).toBeLessThan(24);
  });
});

/** The last exec that was told of a process, where it has run hostile arguments. */
function lastExec(watcher: Watcher, pid: number): ExecEvent | undefined {
  const execs = watcher.of(pid).filter((event) => event.type === 'exec');
  return execs.length > 1 ? execs.at(-1) : undefined;
}

async function ps(socket: string, ...args: string[]): Promise<string[]> {
  const { lines } = await run(process.execPath, [procbus, 'ps', '--socket', socket, ...args]);
  return lines;
}

/** Whether a line has no control or formatting characters, halves of characters or line ends of other kinds. */
function isClean(line: string): boolean {
  return !/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u.test(line);
}
