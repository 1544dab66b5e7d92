/*
 * procbus stats at a helper that hears the kernel, and on a terminal.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type HelperStats } from '@procbus/client';
import { expect, test } from 'vitest';
import { until } from './support/condition.ts';
import { procbus, startHelper, temporaryDirectory, Watcher } from './support/procbus.ts';
import { run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';
import { onTerminal } from './support/terminal.ts';

kernelSuite('procbus stats', [needsProgram('script'), needsProgram('setpriv')], () => {
  test('tells root what the helper has heard, of whom and for whom', async () => {
    const { socket } = await startHelper();
    const watcher = await Watcher.start(socket, '--events', 'exit');
    const { pid } = await run('/bin/true', []);
    await until('the exit', () => watcher.hasEnded(pid));

    const shown = await run(process.execPath, [procbus, 'stats', '--json', '--socket', socket]);
    expect(await shown.ended).toBe(0);
    const { connection, helper } = JSON.parse(shown.stdout) as HelperStats;
    expect(connection).toMatchObject({ uid: 0, subscriptions: 0, queuedBytes: 0, lag: 0, lost: 0 });
    expect(helper?.received.exit).toBeGreaterThan(0);
    expect(helper?.journal.events).toBeGreaterThan(0);
    expect(helper?.journal.oldest).toMatch(new RegExp(`^${helper?.epoch}:\\d+$`));
    expect(helper?.kernelFilter.processes).toContain('exit');
    expect(helper?.processes.living).toBeGreaterThan(1);
    expect(helper?.memory.rss).toBeGreaterThan(2 ** 20);
    expect(helper?.cpu.user).toBeGreaterThan(0);
    expect(helper?.clients).toMatchObject([{ uid: 0, user: 'root', connections: 2, subscriptions: 1 }]);
    const own = helper?.connections.find((each) => each.pid === watcher.pid);
    expect(own).toMatchObject({ uid: 0, subscriptions: 1, lost: 0 });
    expect(own?.software).toMatch(/^procbus\//);
    expect(own?.delivered).toBeGreaterThan(0);
  });

  test('tells others of their own connection alone', async () => {
    const config = join(temporaryDirectory(), 'procbusd.toml');
    writeFileSync(config, '[[grant]]\neveryone = true\nscope = "own"\nstats = "own"\n');
    const { socket } = await startHelper('--config', config, '--mode', '0666');
    const asNobody = ['--reuid=nobody', '--regid=nogroup', '--clear-groups'];
    const command = [process.execPath, procbus, 'stats', '--socket', socket];
    const shown = await run('setpriv', [...asNobody, ...command]);
    expect(shown.stderr).toBe('');
    expect(await shown.ended).toBe(0);
    expect(shown.lines.at(-1)).toBe('Your grant shows no more than your own connection.');
    const json = await run('setpriv', [...asNobody, ...command, '--json']);
    const { connection, ...rest } = JSON.parse(json.stdout) as HelperStats;
    expect(connection.uid).toBeGreaterThan(0);
    expect(rest).toEqual({});
  });

  test('is answered by the library alike', async () => {
    const { socket } = await startHelper();
    await using bus = await connect({ socket });
    const watch = bus.watch({ events: ['exec'] });
    await watch.ready;
    const { connection, helper } = await bus.stats();
    expect(connection.subscriptions).toBe(1);
    expect(helper?.epoch).toBe(bus.hello.epoch);
  });

  test('draws over itself on a terminal, and leaves it as it was', async () => {
    const { socket } = await startHelper();
    const stats = [procbus, 'stats', '--watch', '--interval', '100ms', '--socket', socket];
    const terminal = onTerminal(80, 20, process.execPath, ...stats);
    const home = '\u001b[H';
    const drawings = (): string[] => terminal.stdout.split(home).slice(1);
    await until('some drawings', () => drawings().length > 3);
    terminal.child.stdin?.write('\u0003');
    expect(await terminal.ended).toBe(130);

    const [alternate, ordinary] = ['\u001b[?1049h', '\u001b[?1049l'];
    const [hidden, seen] = ['\u001b[?25l', '\u001b[?25h'];
    expect(terminal.stdout.split(home)[0]).toContain(alternate + hidden);
    expect(terminal.stdout.indexOf(seen + ordinary)).toBeGreaterThan(terminal.stdout.lastIndexOf(home));
    for (const drawing of drawings()) {
      expect(drawing).toContain('procbusd/');
      expect(drawing.split('\n').length).toBeLessThanOrEqual(20);
      expect(drawing).toContain('more lines');
    }
    expect(drawings()[2]).toContain('RATE');
  });
});
