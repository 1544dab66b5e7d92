/*
 * What the helper goes by: the command line, then the file, then the defaults.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultSocketPath, fullGrant } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/procbus.ts';
import { defaultJournalSize } from '../src/bus/journal.ts';
import { defaultReceiveBuffer } from '../src/kernel/connector.ts';
import { groupId } from '../src/libc.ts';
import { parseOptions, type Options } from '../src/options.ts';
import { defaultOutboxLimit } from '../src/peers/outbox.ts';
import { defaultLimits } from '../src/peers/quota.ts';
import { readSettings, type Settings } from '../src/settings.ts';

/** A file, as the options of a helper that reads it. */
function configured(text: string, ...args: string[]): Options & { readonly file: string } {
  const file = join(temporaryDirectory(), 'procbusd.toml');
  writeFileSync(file, text);
  return { ...parseOptions(['--config', file, ...args]), file };
}

const everything = `
[socket]
path = "/tmp/from-file.sock"
group = "daemon"
mode = "0600"

[kernel]
receive-buffer = "1 MiB"

[journal]
size = "2 MiB"

[limits]
connections = 7
outbox = "128 KiB"

[[grant]]
user = 1000
scope = "own"
`;

const all = { ...fullGrant, stats: 'all', limits: {} };
const self = process.geteuid?.() ?? 0;
const allFor = (who: object): object => ({ who, ...all });
const selves = [...new Set([0, self])].map((user) => allFor({ user }));
const group = (name: string): object[] => {
  const gid = groupId(name);
  return gid === undefined ? [] : [allFor({ group: gid })];
};

const defaults: Settings = {
  socket: { path: defaultSocketPath, group: undefined, mode: 0o660 },
  receiveBuffer: defaultReceiveBuffer,
  journalSize: defaultJournalSize,
  outboxLimit: defaultOutboxLimit,
  limits: defaultLimits,
  rules: [...selves, ...group('procbus')] as Settings['rules'],
};

describe('settings', () => {
  test('are the defaults where nothing is said', () => {
    expect(readSettings(configured(''))).toEqual(defaults);
  });

  test('are those of the file where the command line says nothing', () => {
    expect(readSettings(configured(everything))).toEqual({
      socket: { path: '/tmp/from-file.sock', group: 'daemon', mode: 0o600 },
      receiveBuffer: 2 ** 20,
      journalSize: 2 ** 21,
      outboxLimit: 2 ** 17,
      limits: { ...defaultLimits, connections: 7 },
      rules: [{ who: { user: 1000 }, ...all, scope: 'own', stats: 'own' }],
    });
  });

  test('are those of the command line, whatever the file says', () => {
    const options = ['--socket', '/tmp/x', '--group', 'root', '--mode', '0620', '--receive-buffer', '8192'];
    const settings = readSettings(configured(everything, ...options));
    expect(settings.socket).toEqual({ path: '/tmp/x', group: 'root', mode: 0o620 });
    expect(settings.receiveBuffer).toBe(8192);
    expect(settings.limits.connections).toBe(7);
  });

  test('without a grant let see all whom the socket lets connect: root, the helper’s user, its group', () => {
    const ofDaemon = [...selves, ...group('daemon'), ...group('procbus')];
    expect(readSettings(configured('[socket]\ngroup = "daemon"')).rules).toEqual(ofDaemon);
    expect(readSettings(configured('', '--group', 'daemon')).rules).toEqual(ofDaemon);
    expect(readSettings(configured('[socket]\ngroup = "bin"', '--group', 'daemon')).rules).toEqual(ofDaemon);
  });

  test('are read anew each time, and those of a bad file not at all', () => {
    const options = configured('[limits]\nconnections = 3');
    expect(readSettings(options).limits.connections).toBe(3);
    writeFileSync(options.file, '[limits]\nconnections = 4');
    expect(readSettings(options).limits.connections).toBe(4);
    writeFileSync(options.file, '[limits]\nconnections = "4"\n[jornal]\n');
    expect(() => readSettings(options)).toThrow(
      expect.objectContaining({
        code: 'config',
        message: expect.stringMatching(/procbusd\.toml:2:15: .*\n.*procbusd\.toml:3:2: /) as unknown,
      }),
    );
  });

  test('of a private helper are no file’s', () => {
    const options = { ...configured('nonsense'), connection: 3 };
    expect(readSettings(options)).toEqual(defaults);
  });

  test('need the file that was named', () => {
    expect(() => readSettings(parseOptions(['--config', '/nonexistent/procbusd.toml']))).toThrow(
      expect.objectContaining({ code: 'config', remedy: expect.stringContaining('leave it out') as unknown }),
    );
  });
});
