/*
 * procbus stats, as a program, at a helper that follows a script.
 */
import { FrameDecoder, helperMessage, maxClientPayload, packFrame, unpack } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import type { HelperStats } from '../packages/client/src/stats.ts';
import { connection, helper, stats, statsWith } from '../packages/client/test/support/figures.ts';
import { until } from './support/condition.ts';
import { answerAs, listenAs, politely } from './support/impostor.ts';
import { procbus, temporaryDirectory } from './support/procbus.ts';
import { Program, run } from './support/program.ts';

/** Answers `stats` with these, one after the other, and with the last one from then on. */
async function serveStats(...answers: HelperStats[]): Promise<string> {
  let asked = 0;
  return answerAs((type, request) => {
    if (type !== 'stats') return politely(type, request);
    return [helperMessage.result(request as number, answers[Math.min(asked++, answers.length - 1)])];
  });
}

async function runStats(...args: string[]): Promise<Program> {
  return run(process.execPath, [procbus, 'stats', ...args]);
}

/** A `procbus stats` that goes on until it is stopped. */
function watchStats(...args: string[]): Program {
  return new Program(process.execPath, [procbus, 'stats', '--watch', ...args]);
}

describe('procbus stats', () => {
  test('prints what the helper tells, without colours where it goes into a pipe', async () => {
    const shown = await runStats('--socket', await serveStats(stats));
    expect(shown.stderr).toBe('');
    expect(await shown.ended).toBe(0);
    expect(shown.lines[0]).toBe('impostor/1  up 3h05m  cursor 0f3a9c77d1e2b465:4711002');
    expect(shown.lines).toContain('LOST     0 by the kernel (queue 128 MiB)  31 for slow clients');
    expect(shown.lines).toContain('anna                  2              1  3.7 MiB   12.4s    31');
  });

  test('prints with --json one object, as it is', async () => {
    const shown = await runStats('--json', '--socket', await serveStats(stats));
    expect(await shown.ended).toBe(0);
    expect(shown.lines.map((line) => JSON.parse(line) as object)).toEqual([{ connection, helper }]);
  });

  test('prints with --prometheus what can be scraped', async () => {
    const shown = await runStats('--prometheus', '--socket', await serveStats(stats));
    expect(await shown.ended).toBe(0);
    expect(shown.lines).toContain('# TYPE procbus_events_received_total counter');
    expect(shown.lines).toContain('procbus_events_received_total{type="fork"} 1234567');
    expect(shown.lines).toContain('procbus_helper_info{software="impostor/1",epoch="0f3a9c77d1e2b465"} 1');
  });

  test('shows the own connection, and says why no more', async () => {
    const shown = await runStats('--socket', await serveStats({ connection }));
    expect(await shown.ended).toBe(0);
    expect(shown.lines.at(-1)).toBe('Your grant shows no more than your own connection.');
  });

  test('goes on with --watch, and knows rates from the second time on', async () => {
    const later = statsWith({
      uptime: helper.uptime + 2,
      received: { ...helper.received, fork: 1_234_567 + 8400 },
    });
    const socket = await serveStats(stats, later);
    const watching = watchStats('--interval', '100ms', '--socket', socket);
    await watching.says('fork    1,242,967  4.2k/s  passes processes');
    expect(await watching.stop('SIGINT')).toBe(130);
    expect(watching.stdout).toContain('fork    1,234,567  passes processes');
    expect(watching.stderr).toBe('');
    // Nothing of a terminal goes into a pipe.
    expect(watching.stdout).not.toContain('\u001b');
  });

  test('prints with --watch --json a line each time', async () => {
    const later = statsWith({ uptime: 20_000 });
    const watching = watchStats('--json', '--interval', '100ms', '--socket', await serveStats(stats, later));
    await watching.says('"uptime":20000');
    await watching.stop('SIGINT');
    const [first, second] = watching.lines.map((line) => JSON.parse(line) as object);
    expect([first, second]).toEqual([stats, later]);
  });

  test('goes on with --watch when the helper is started again while it is asked', async () => {
    let asked = 0;
    const socket = await listenAs((client) => {
      const decoder = new FrameDecoder(maxClientPayload);
      client.on('data', (chunk) => {
        for (const payload of decoder.push(chunk)) {
          const [type, request] = unpack(payload) as [string, number];
          const isStats = type === 'stats';
          if (isStats && ++asked === 2) client.destroy();
          else if (isStats)
            client.write(packFrame(helperMessage.result(request, statsWith({ uptime: asked }))));
          else for (const answer of politely(type, request)) client.write(packFrame(answer));
        }
      });
    });
    const watching = watchStats('--json', '--interval', '100ms', '--socket', socket);
    await watching.says('"uptime":4');
    expect(await watching.stop('SIGINT')).toBe(130);
    const uptimes = watching.lines.map((line) => (JSON.parse(line) as HelperStats).helper?.uptime);
    expect(uptimes.slice(0, 3)).toEqual([1, 3, 4]);
    expect(watching.stderr).toBe('procbus: the helper has gone (without a word); connecting again\n');
  });

  test('is interrupted also while the helper does not answer', async () => {
    let asked = false;
    const socket = await answerAs((type, request) => {
      asked ||= type === 'stats';
      return type === 'stats' ? [] : politely(type, request);
    });
    const watching = watchStats('--socket', socket);
    await until('it to ask', () => asked);
    expect(await watching.stop('SIGINT')).toBe(130);
  });

  test('ends quietly when the reader of its output goes', async () => {
    const socket = await serveStats(stats);
    const command = [process.execPath, procbus, 'stats', '--interval', '100ms', '--socket', socket];
    const shown = await run('/bin/sh', ['-c', '{ "$0" "$@"; echo "status $?" >&2; } | head -1', ...command]);
    await shown.ended;
    expect(shown.stderr).toBe('status 0\n');
  });

  test('says what to do where there is no helper, and starts none', async () => {
    const socket = `${temporaryDirectory()}/none.sock`;
    const env = { ...process.env, PROCBUS_SOCKET: socket };
    const shown = await run(process.execPath, [procbus, 'stats'], { env });
    expect(await shown.ended).toBe(69);
    expect(shown.stdout).toBe('');
    expect(shown.stderr).toBe(
      `procbus: there is no socket at ${socket}\nprocbus: Start one with: procbusd --socket ${socket}\n`,
    );
  });

  test.each([
    [['--json', '--prometheus'], '--json and --prometheus: only one of them'],
    [['--interval', 'soon'], '--interval soon: not a time'],
    [['--interval', '1ms'], '--interval 1ms: not less than 100ms'],
    [['--nonsense'], 'Unknown argument: nonsense'],
  ])('refuses %j with 64, and says why', async (args, message) => {
    const refused = await runStats(...args);
    expect(await refused.ended).toBe(64);
    expect(refused.stderr).toContain(message);
    expect(refused.stderr).toContain('procbus stats --help');
  });
});
