import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { LineStyle } from '../src/cli/line.ts';
import { renderStats } from '../src/cli/stats-table.ts';
import type { HelperStats } from '../src/stats.ts';
import { connection, helper, stats, statsWith } from './support/figures.ts';

const software = 'procbusd/0.1.0';
const plain: LineStyle = { colour: false };

const lines = (now: HelperStats, before?: HelperStats, style = plain): string[] =>
  renderStats(now, { software, before }, style);

/** The line that begins with a word. */
const line = (word: string, now: HelperStats, before?: HelperStats, style = plain): string | undefined =>
  lines(now, before, style).find((each) => stripVTControlCharacters(each).startsWith(word));

describe('the figures of a helper', () => {
  test('are shown in sections, each aligned', () => {
    expect(lines(stats)).toEqual([
      'procbusd/0.1.0  up 3h05m  cursor 0f3a9c77d1e2b465:4711002',
      '',
      'EVENT    RECEIVED  KERNEL FILTER',
      'fork    1,234,567  passes processes',
      'exec      823,112  passes processes',
      'exit    1,234,560  passes processes and threads',
      'sid         2,204  passes processes',
      'ptrace          3  drops all',
      'comm            0  passes processes',
      'all     3,294,446',
      '',
      'LOST     0 by the kernel (queue 128 MiB)  31 for slow clients',
      'JOURNAL  13.0 of 16.0 MiB  26,112 events  5m03s  since 0f3a9c77d1e2b465:4669779',
      'TABLE    1,412 processes  31 that have ended  read at real-time priority',
      'DELAY    0.27ms median  1.30ms for one in 100  5.60ms at most',
      'MEMORY   84.2 MiB  21.0 MiB of objects',
      'CPU      12.3s user  4.50s system  0.2 % since it started',
      '',
      'USER        CONNECTIONS  SUBSCRIPTIONS   QUEUED     LAG  LOST',
      'anna                  2              1  3.7 MiB   12.4s    31',
      '4100000000            1              1    512 B  2.00ms     0',
      'root                  1              2      0 B       -     0',
      '',
      '    PID  USER        SUBSCRIPTIONS   QUEUED     LAG  DELIVERED  LOST  SOFTWARE',
      '2200123  anna                    1  3.7 MiB   12.4s     12,331    31  slow/1',
      '    812  4100000000              1    512 B  2.00ms          3     0  py/1',
      '      9  root                    2      0 B       -  3,292,239     0  audit/2.1',
      '   4711  anna                    0      0 B       -          0     0  procbus/0.1.0',
    ]);
  });

  test('fit a terminal of 80 columns and 24 lines, but for clients', () => {
    const before = statsWith({ uptime: helper.uptime - 2, lost: { kernel: 0, queue: 0 } });
    const shown = lines(stats, before);
    const clientsAt = shown.findIndex((each) => each.startsWith('USER'));
    expect(clientsAt).toBeLessThan(20);
    for (const each of shown.slice(0, clientsAt + 4)) expect(each.length).toBeLessThan(80);
  });

  test('have rates where they are known of a while ago', () => {
    const before = statsWith({
      uptime: helper.uptime - 2,
      received: { ...helper.received, fork: 1_234_567 - 8400, ptrace: 0 },
      lost: { kernel: 0, queue: 24 },
      cpu: { user: 12.2, system: 4.45 },
    });
    expect(lines(stats, before).slice(2, 10)).toEqual([
      'EVENT    RECEIVED    RATE  KERNEL FILTER',
      'fork    1,234,567  4.2k/s  passes processes',
      'exec      823,112     0/s  passes processes',
      'exit    1,234,560     0/s  passes processes and threads',
      'sid         2,204     0/s  passes processes',
      'ptrace          3   1.5/s  drops all',
      'comm            0     0/s  passes processes',
      'all     3,294,446  4.2k/s',
    ]);
    expect(line('LOST', stats, before)).toMatch(/ {2}31 for slow clients {2}now 3\.5\/s$/);
    expect(line('CPU', stats, before)).toMatch(/ {2}5\.0 %$/);
  });

  test.each<[string, Partial<typeof helper>]>([
    ['another run', { epoch: 'ffff', uptime: 1 }],
    ['the same moment', {}],
  ])('have no rates from %s', (_, figures) => {
    expect(lines(stats, statsWith(figures))).toEqual(lines(stats));
  });

  test('have none of a helper, and say why, where the grant allows no more', () => {
    expect(lines({ connection: { ...connection, subscriptions: 2, delivered: 1200, lost: 3 } })).toEqual([
      'procbusd/0.1.0',
      '',
      'UID   SUBSCRIPTIONS  QUEUED  LAG  DELIVERED  LOST',
      '1000              2     0 B    -      1,200     3',
      '',
      'Your grant shows no more than your own connection.',
    ]);
  });

  test('of a kind that a later helper tells are shown, too', () => {
    const received = { fork: 1, freeze: 2 } as typeof helper.received;
    expect(lines(statsWith({ received })).slice(2, 10)).toContain('freeze         2  drops all');
  });

  test('are red where something is lost, and only there', () => {
    const style = { colour: true };
    const red = '\u001b[31m';
    expect(line('LOST', stats, undefined, style)).toContain(`${red}  31 for slow clients`);
    expect(line('anna', stats, undefined, style)).toContain(red);
    const fine = statsWith({ lost: { kernel: 0, queue: 0 }, clients: [], connections: [] });
    expect(lines(fine, undefined, style).join('')).not.toContain(red);
    expect(lines(stats, undefined, style).map((each) => stripVTControlCharacters(each))).toEqual(
      lines(stats),
    );
  });

  test('are cut to the width of a terminal', () => {
    for (const each of lines(stats, undefined, { colour: true, width: 40 })) {
      expect(stripVTControlCharacters(each).length).toBeLessThanOrEqual(40);
    }
  });

  test('are clean whatever clients and users are called', () => {
    const hostile = '\u001b[2J\r\n\u202E';
    const [user, ...users] = helper.clients;
    const [peer, ...peers] = helper.connections;
    const now = statsWith({
      epoch: hostile,
      received: { [hostile]: 1 } as typeof helper.received,
      journal: { ...helper.journal, oldest: hostile },
      clients: [{ ...user, user: hostile } as typeof user & object, ...users],
      connections: [{ ...peer, software: hostile } as typeof peer & object, ...peers],
    });
    const shown = renderStats(now, { software: hostile }, plain);
    expect(shown).toHaveLength(lines(stats).length);
    for (const each of shown) expect(each).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
  });
});
