/*
 * procbus watch, as it is used in a terminal and in scripts.
 */
import { connect, includes } from '@procbus/client';
import { expect, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { procbus, startHelper, temporaryDirectory, Watcher } from './support/procbus.ts';
import { inRepository, Program, run } from './support/program.ts';
import { kernelSuite, needsMsgpack, needsProgram, pythonWithMsgpack } from './support/requirements.ts';

/** A `procbus watch` whose output a shell sends elsewhere, given events until it ends. */
async function watchUntilItEnds(socket: string, redirection: string): Promise<Program> {
  const command = [process.execPath, procbus, 'watch', '--socket', socket];
  const program = new Program('/bin/sh', ['-c', `"$0" "$@" ${redirection}`, ...command]);
  await program.says('watching');
  await until('its end', async () => {
    await run('/bin/true', []);
    return program.child.exitCode !== null;
  });
  return program;
}

kernelSuite('procbus watch', [], () => {
  test('ends with 0 after --count events, and prints no more', async () => {
    const { socket } = await startHelper();
    const watcher = await Watcher.start(socket, '--count', '3');
    await run('/bin/sh', ['-c', '/bin/true; /bin/true; /bin/true']);
    expect(await watcher.ended).toBe(0);
    expect(watcher.lines).toHaveLength(3);
  });

  test('ends with 0 after --duration', async () => {
    const { socket } = await startHelper();
    const watcher = await Watcher.start(socket, '--duration', '200ms');
    expect(await watcher.ended).toBe(0);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('on %s writes what it has and ends with %i', async (signal, status) => {
    const { socket } = await startHelper();
    const watcher = await Watcher.start(socket);
    const { pid } = await run('/bin/true', []);
    await until('an event', () => watcher.hasEnded(pid));
    expect(await watcher.stop(signal)).toBe(status);
    expect(watcher.stdout.endsWith('\n')).toBe(true);
  });

  test('ends quietly when the reader of its output goes', async () => {
    const { socket } = await startHelper();
    const pipeline = await watchUntilItEnds(socket, '| head -1');
    expect(pipeline.lines).toHaveLength(1);
    expect(pipeline.stderr.trim().split('\n')).toHaveLength(1);
  });

  test('prints only the types of --events', async () => {
    const { socket } = await startHelper();
    const watcher = await Watcher.start(socket, '--events', 'exec,exit');
    const { pid } = await run('/bin/true', []);
    await until('the exit', () => watcher.hasEnded(pid));
    expect(watcher.of(pid).map(({ type }) => type)).toEqual(['exec', 'exit']);
    expect(watcher.stderr).toContain('watching (exec, exit; the helper at ');
  });

  test('prints with --json what the library yields, to the letter', async () => {
    const { socket } = await startHelper();
    const watcher = await Watcher.start(socket);
    await using bus = await connect({ socket });
    const watch = bus.watch();
    await watch.ready;
    const { pid } = await run('/bin/true', []);
    const lines: string[] = [];
    for await (const event of watch) {
      lines.push(JSON.stringify(event));
      if (event.type === 'exit' && event.pid === pid) break;
    }
    await until('the exit', () => watcher.hasEnded(pid));
    const from = watcher.lines.indexOf(lines[0] ?? '');
    expect(watcher.lines.slice(from, from + lines.length)).toEqual(lines);
  });

  test('writes lines for people without colours into a pipe, with the exit decoded', async () => {
    const { socket } = await startHelper();
    const watch = new Program(process.execPath, [procbus, 'watch', '--socket', socket]);
    await watch.says('watching');
    const { pid } = await run('/bin/sh', ['-c', 'exit 7']);
    await watch.says('exit 7 after');
    const line = watch.lines.find((text) => text.includes('exit 7 after'));
    expect(line).toMatch(
      new RegExp(
        `^\\d\\d:\\d\\d:\\d\\d\\.\\d{6}  exit      ${pid} +sh +exit 7 after [\\d.]+ms +/bin/sh -c 'exit 7'$`,
      ),
    );
    // eslint-disable-next-line no-control-regex
    expect(watch.stdout).not.toMatch(/\u001b/);
  });

  test('a full disk is reported, and ends it with 74', async () => {
    const { socket } = await startHelper();
    const watch = await watchUntilItEnds(socket, '> /dev/full');
    expect(watch.child.exitCode).toBe(74);
    expect(watch.stderr).toContain('ENOSPC');
  });

  test.each([
    [['--events', 'exec,nonsense'], '--events: there is no "nonsense"'],
    [['--events', ''], '--events: there is no ""'],
    [['--count', '0'], '--count 0'],
    [['--duration', 'soon'], '--duration soon'],
    [['--nonsense'], 'Unknown argument: nonsense'],
  ])('refuses %j with 64, and says why', async (args, message) => {
    const refused = await run(process.execPath, [procbus, 'watch', ...args], { cwd: temporaryDirectory() });
    expect(await refused.ended).toBe(64);
    expect(refused.stderr).toContain(message);
  });
});

kernelSuite('examples/watch.py', [needsMsgpack(), needsProgram('gcc')], () => {
  test('prints the same as procbus watch --json', async () => {
    const { socket } = await startHelper();
    const options = ['--threads', '--include', includes.join(',')];
    const watcher = await Watcher.start(socket, ...options);
    const example = inRepository('examples/watch.py');
    const python = new Program(pythonWithMsgpack ?? '', [example, '--socket', socket, ...options]);
    await python.says('watching');
    for (const deed of [
      'exit 3',
      'kill 9',
      'kill 40',
      'uid 1',
      'gid 1',
      'sid',
      'name ä"\\',
      'ptrace',
      'abort',
      'threads 9',
    ]) {
      await run(actor(), deed.split(' '), { cwd: temporaryDirectory() });
    }
    const { pid } = await run('/bin/true', []);
    await until('the last exit', () => watcher.hasEnded(pid));
    const lastLine = watcher.lines.findLast(
      (line) => line.includes(`"type":"exit"`) && line.includes(`"pid":${pid},`),
    );
    await python.says(lastLine ?? '');

    const from = watcher.lines.indexOf(python.lines[0] ?? '');
    expect(from).toBeGreaterThanOrEqual(0);
    expect(python.lines).toEqual(watcher.lines.slice(from, from + python.lines.length));
    const types = new Set(watcher.events.map(({ type }) => type));
    expect(types.size).toBe(9);
  });
});
