import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventTypes, ProcbusError } from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/procbus.ts';
import { defaultConfig, parseConfig, readConfig, type Config } from '../src/config/config.ts';
import { checkConfig } from '../src/config/summary.ts';
import { defaultLimits } from '../src/peers/quota.ts';

const example = new URL('../../../packaging/procbusd.toml', import.meta.url);
const documentation = new URL('../../../docs/configuration.md', import.meta.url);

const parse = (text: string): Config => parseConfig('/x.toml', Buffer.from(text));

/** What is wrong with a text, a line for each, and what would help. */
function faults(text: string): { message: string[]; remedy: string | undefined } {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof ProcbusError)) throw error;
    expect(error.code).toBe('config');
    return { message: error.message.split('\n'), remedy: error.remedy };
  }
  return expect.fail(`nothing is wrong with ${text}`);
}

/** What a single fault says: its place, then what is wrong. */
function fault(text: string): string {
  const { message } = faults(text);
  expect(message).toHaveLength(1);
  expect(message[0]).toMatch(/^\/x\.toml:/);
  return (message[0] ?? '').slice('/x.toml:'.length);
}

const rules = (text: string): Config['rules'] => parse(text).rules;

describe('a configuration', () => {
  test.each(['', '\n', '# nothing\n', '[socket]\n[kernel]\n[journal]\n[limits]\n', '\ufeff# a mark\n'])(
    'that says nothing leaves the defaults: %j',
    (text) => {
      expect(parse(text)).toEqual(defaultConfig);
      expect(parse(text)).toEqual({
        socket: {},
        kernel: {},
        journal: { size: 16 * 2 ** 20 },
        limits: { ...defaultLimits, outbox: 4 * 2 ** 20 },
        rules: undefined,
      });
    },
  );

  test('says where and for whom the socket is', () => {
    expect(parse('[socket]\npath = "/run/x.sock"\ngroup = "root"\nmode = "0666"').socket).toEqual({
      path: '/run/x.sock',
      group: 'root',
      mode: 0o666,
    });
    expect(parse('socket = { mode = "600" }').socket).toEqual({ mode: 0o600 });
  });

  test.each<[string, number]>([
    ['1', 1],
    ['1_048_576', 2 ** 20],
    ['0x10', 16],
    ['"4096"', 4096],
    ['"4096B"', 4096],
    ['"64KiB"', 2 ** 16],
    ['"64K"', 2 ** 16],
    ["'64 MiB'", 2 ** 26],
    ['"64M"', 2 ** 26],
    ['"1GiB"', 2 ** 30],
    ['"1G"', 2 ** 30],
  ])('may say bytes as %s', (written, bytes) => {
    expect(parse(`[kernel]\nreceive-buffer = ${written}`).kernel).toEqual({ receiveBuffer: bytes });
    expect(parse(`journal.size = ${written}`).journal).toEqual({ size: bytes });
  });

  test('may ask for no journal', () => {
    expect(parse('[journal]\nsize = 0').journal).toEqual({ size: 0 });
  });

  test('limits what it names, and leaves the rest', () => {
    expect(parse('[limits]\nconnections = 3\nqueued-bytes = "1MiB"').limits).toEqual({
      ...defaultConfig.limits,
      connections: 3,
      queuedBytes: 2 ** 20,
    });
    const all =
      '[limits]\nconnections=1\nsubscriptions=2\nqueued-bytes=65536\nrequests-per-second=4\nwork-per-second=5\noutbox="64GiB"';
    expect(parse(all).limits).toEqual({
      connections: 1,
      subscriptions: 2,
      queuedBytes: 65_536,
      requestsPerSecond: 4,
      workPerSecond: 5,
      outbox: 64 * 2 ** 30,
    });
  });
});

describe('a grant', () => {
  const all = { scope: 'all', detail: 'args', events: eventTypes, stats: 'all', limits: {} };

  test('shows all, unless it says otherwise', () => {
    expect(rules('[[grant]]\nuser = "root"')).toEqual([{ who: { user: 0 }, ...all }]);
  });

  test.each<[string, unknown]>([
    ['user = "root"', { user: 0 }],
    ['user = 4000000000', { user: 4_000_000_000 }],
    ['group = "root"', { group: 0 }],
    ['group = 12', { group: 12 }],
    ['everyone = true', 'everyone'],
  ])('is for whom it names: %s', (line, who) => {
    expect(rules(`[[grant]]\n${line}`)).toEqual([{ who, ...all }]);
  });

  test('tells figures of all where it shows all, and own ones where it shows own, unless it says otherwise', () => {
    const stats = (lines: string) => rules(`[[grant]]\neveryone = true\n${lines}`)?.[0]?.stats;
    expect(stats('scope = "all"')).toBe('all');
    expect(stats('scope = "own"')).toBe('own');
    expect(stats('stats = "own"')).toBe('own');
    expect(stats('scope = "own"\nstats = "all"')).toBe('all');
  });

  test('lists types of events in any order, more than once, or none', () => {
    const events = (list: string) => rules(`[[grant]]\neveryone = true\nevents = ${list}`)?.[0]?.events;
    expect(events('["exit", "exec", "exit"]')).toEqual(['exec', 'exit']);
    expect(events('[]')).toEqual([]);
    expect(events(JSON.stringify(eventTypes.toReversed()))).toEqual(eventTypes);
  });

  test.each([
    'limits = { connections = 2, queued-bytes = "1MiB" }',
    'limits = {\n  connections = 2,\n  queued-bytes = "1MiB",\n}',
    'limits.connections = 2\nlimits.queued-bytes = "1MiB"',
    '[grant.limits]\nconnections = 2\nqueued-bytes = "1MiB"',
  ])('has its own limits, in any form that TOML has: %j', (lines) => {
    expect(rules(`[[grant]]\neveryone = true\n${lines}`)?.[0]?.limits).toEqual({
      connections: 2,
      queuedBytes: 2 ** 20,
    });
  });

  test('comes after those above it', () => {
    const text =
      '[[grant]]\nuser = 1\n[grant.limits]\nconnections = 1\n[[grant]]\ngroup = 2\n[[grant]]\neveryone = true';
    expect(rules(text)?.map(({ who }) => who)).toEqual([{ user: 1 }, { group: 2 }, 'everyone']);
    expect(rules('grant = [{ user = 1 }, { group = 2 }]')).toHaveLength(2);
  });
});

describe('what is wrong is told with its line and column', () => {
  test.each<[string, string]>([
    // No TOML.
    ['[socket', '1:8: unterminated table-key'],
    ['[socket\nmode = "0660"', '1:8: the line ends too early'],
    ['[socket] mode = "0660"', '1:10: must be a newline'],
    ['[socket]\nmode = 0660', '2:8: leading zeros are not allowed'],
    ['[socket]\nmode = "0660', '2:13: unterminated string constant'],
    ['[socket]\nmode\n= "0660"', '2:5: the line ends too early'],
    ['[socket]\nmode: 0660', '2:5: unexpected character'],
    ['[socket]\ngroup = root', '2:9: unexpected character'],
    ['[socket]\ngroup = "root"\ngroup = "root"', '3:1: defining a key multiple times is invalid'],
    ['[socket]\n[socket]', '2:2: defining a key multiple times is invalid'],
    ['[limits]\n  connections =\n', '2:16: a value is missing'],
    ['[[grant]]\r\n  user = \r\n\r\n  scope = "own"', '2:9: a value is missing'],
    ['= 1', '1:1: unexpected token'],
    ['\0', '1:1: unexpected character'],
    // Sections.
    ['[sokcet]', '1:2: there is no section "sokcet"; did you mean "socket"?'],
    ['a = 1', '1:1: there is no section "a"'],
    ['[grants]', '1:2: there is no section "grants"; did you mean "grant"?'],
    ['socket = 1', '1:10: [socket] needs to be a table, not 1'],
    ['[[limits]]', '1:1: [limits] needs to be a table, not a list'],
    ['[grant]\nuser = 0', '1:1: a grant begins with [[grant]], as there may be several'],
    ['grant = 1', '1:9: grant needs a list in [ ], not 1'],
    ['grant = [1]', '1:10: [[grant]] needs to be a table, not 1'],
    // Keys.
    ['[socket]\n  grup = "root"', '2:3: "grup" is no key of [socket]; did you mean "group"?'],
    ['[socket]\n"Mode" = "0660"', '2:1: "Mode" is no key of [socket]; did you mean "mode"?'],
    ['socket.x = 1', '1:8: "x" is no key of [socket]'],
    ['[socket.x]', '1:9: "x" is no key of [socket]'],
    [
      '[kernel]\nreceive_buffer = 1',
      '2:1: "receive_buffer" is no key of [kernel]; did you mean "receive-buffer"?',
    ],
    ['[journal]\n"si\\nze\\u001b" = 1', '2:1: "si\\nze\\u001b" is no key of [journal]'],
    ['[limits]\n__proto__ = 1', '2:1: "__proto__" is no key of [limits]'],
    ['[limits]\ntoString = 1', '2:1: "toString" is no key of [limits]'],
    ['[[grant]]\nuser = 0\nscpoe = "own"', '3:1: "scpoe" is no key of [[grant]]; did you mean "scope"?'],
    ['[[grant]]\nuser = 0\nlimits = { outbox = 1 }', '3:12: "outbox" is no key of limits in a [[grant]]'],
    // Values.
    ['[socket]\npath = "x"', '2:8: path needs an absolute path of at most 107 bytes, in quotes, not "x"'],
    ['[socket]\npath = ""', '2:8: path needs an absolute path of at most 107 bytes, in quotes, not ""'],
    [
      '[socket]\npath = "/\\u0000"',
      '2:8: path needs an absolute path of at most 107 bytes, in quotes, not "/\\u0000"',
    ],
    [
      `[socket]\npath = "/${'x'.repeat(107)}"`,
      `2:8: path needs an absolute path of at most 107 bytes, in quotes, not "/${'x'.repeat(59)}…"`,
    ],
    ['[socket]\ngroup = 0', '2:9: group needs the name of a group, in quotes, not 0'],
    ['[socket]\ngroup = "no such"', '2:9: there is no group "no such"'],
    ['[socket]\nmode = 0o660', '2:8: mode needs permissions such as "0660", in quotes, not 432'],
    ['[socket]\nmode = "0888"', '2:8: mode needs permissions such as "0660", in quotes, not "0888"'],
    ['[socket]\nmode = "7777"', '2:8: mode needs permissions such as "0660", in quotes, not "7777"'],
    [
      '[kernel]\nreceive-buffer = 0',
      '2:18: receive-buffer needs bytes from 1 to 1GiB, as 65536 or "64KiB" (KiB, MiB or GiB), not 0',
    ],
    [
      '[journal]\nsize = "1025MiB"',
      '2:8: size needs bytes from 0 to 1GiB, as 65536 or "64KiB" (KiB, MiB or GiB), not "1025MiB"',
    ],
    [
      '[limits]\noutbox = 65535',
      '2:10: outbox needs bytes from 64KiB to 64GiB, as 65536 or "64KiB" (KiB, MiB or GiB), not 65535',
    ],
    ['[limits]\nconnections = 0', '2:15: connections needs a whole number from 1 to 1000000000, not 0'],
    ['[limits]\nconnections = 1.5', '2:15: connections needs a whole number from 1 to 1000000000, not 1.5'],
    [
      '[limits]\nsubscriptions = "4"',
      '2:17: subscriptions needs a whole number from 1 to 1000000000, not "4"',
    ],
    [
      '[limits]\nrequests-per-second = inf',
      '2:23: requests-per-second needs a whole number from 1 to 1000000000, not Infinity',
    ],
    [
      '[limits]\nwork-per-second = 99999999999999999999',
      '2:19: work-per-second needs a whole number from 1 to 1000000000, not 100000000000000000000',
    ],
    ['[[grant]]\nuser = "no such"', '2:8: there is no user "no such"'],
    ['[[grant]]\nuser = "root\\u0000"', '2:8: there is no user "root\\u0000"'],
    ['[[grant]]\nuser = ""', '2:8: user needs a name in quotes, or an id, not ""'],
    ['[[grant]]\nuser = -1', '2:8: user needs a name in quotes, or an id, not -1'],
    ['[[grant]]\nuser = 4294967295', '2:8: user needs a name in quotes, or an id, not 4294967295'],
    ['[[grant]]\nuser = true', '2:8: user needs a name in quotes, or an id, not true'],
    ['[[grant]]\ngroup = "no such"', '2:9: there is no group "no such"'],
    ['[[grant]]\ngroup = 1979-05-27', '2:9: group needs a name in quotes, or an id, not a date'],
    ['[[grant]]\neveryone = false', '2:12: everyone needs true, or to be left out, not false'],
    ['[[grant]]\neveryone = "yes"', '2:12: everyone needs true, or to be left out, not "yes"'],
    ['[[grant]]\nuser = 0\nscope = "none"', '3:9: scope needs "all" or "own", not "none"'],
    ['[[grant]]\nuser = 0\nscope = "Own"', '3:9: scope needs "all" or "own", not "Own"; did you mean "own"?'],
    [
      '[[grant]]\nuser = 0\ndetail = "arg"',
      '3:10: detail needs "ids", "names" or "args", not "arg"; did you mean "args"?',
    ],
    ['[[grant]]\nuser = 0\nstats = true', '3:9: stats needs "all" or "own", not true'],
    ['[[grant]]\nuser = 0\nevents = "exec"', '3:10: events needs a list in [ ], not "exec"'],
    [
      '[[grant]]\nuser = 0\nevents = [\n  "fork",\n  "eixt",\n]',
      '5:3: events needs "fork", "exec", "exit", "uid", "gid", "sid", "ptrace", "comm" or "coredump", not "eixt"; did you mean "exit"?',
    ],
    ['[[grant]]\nuser = 0\nlimits = 4', '3:10: limits in a [[grant]] needs to be a table, not 4'],
    [
      '[[grant]]\nuser = 0\nlimits = { connections = 0 }',
      '3:26: connections needs a whole number from 1 to 1000000000, not 0',
    ],
    // For whom.
    ['\n\n[[grant]]\nscope = "own"', '3:1: this [[grant]] is for nobody: it needs user, group or everyone'],
    [
      '[[grant]]\neveryone = true\nuser = 0',
      '3:1: this [[grant]] has everyone and user, and may have one of them',
    ],
  ])('%j', (text, expected) => {
    expect(fault(text)).toBe(expected);
  });

  test('all at once, in the order of the file', () => {
    const text =
      '[[grant]]\n[socket]\nmode = 1\nx = 1\n[[grant]]\nuser = 0\ngroup = 0\nevents = ["a", "b"]\n[y]\n';
    expect(faults(text).message.map((line) => line.split(' ', 1)[0])).toEqual([
      '/x.toml:1:1:',
      '/x.toml:3:8:',
      '/x.toml:4:1:',
      '/x.toml:7:1:',
      '/x.toml:8:11:',
      '/x.toml:8:16:',
      '/x.toml:9:2:',
    ]);
  });

  test('also where bytes are no text', () => {
    const bytes = Buffer.concat([Buffer.from('# äö\n# ä '), Buffer.from([0xff]), Buffer.from('\n')]);
    expect(() => parseConfig('/x.toml', bytes)).toThrow('/x.toml:2:5: the file is not UTF-8');
  });

  test('also where it is deeper than anybody writes', () => {
    const nested = `x = ${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    expect(fault(nested)).toBe('1:1: the file is nested too deeply');
    expect(fault(`${'a.'.repeat(20_000)}a = 1`)).toBe('1:1: there is no section "a"');
    for (const open of ['[', '{a=', '[[', '[a.', 'a.']) {
      expect(faults(`x = ${open.repeat(20_000)}`).message).toHaveLength(1);
      expect(faults(open.repeat(20_000)).message).toHaveLength(1);
    }
  });
});

describe('what would help is told', () => {
  test.each<[string, string | undefined]>([
    ['[sokcet]', 'The sections are [socket], [kernel], [journal], [limits] and [[grant]].'],
    ['[socket]\nx = 1', 'The keys of [socket] are path, group, mode.'],
    ['[socket]\ngroup = "no-such"', 'Create it with: groupadd --system no-such'],
    ['[[grant]]\ngroup = "no-such"', 'Create it with: groupadd --system no-such'],
    ['[[grant]]\nuser = "no-such"', 'Create it with: useradd --system no-such'],
    ['[[grant]]\nuser = "no such; reboot"', undefined],
    ['[[grant]]\nuser = "4711"', 'Write ids without quotes: user = 4711'],
    ['[[grant]]\nuser = 0\ngroup = 0', 'Write a [[grant]] for each.'],
    ['[socket]\nmode = 1', undefined],
    ['[socket]\nmode = 0660', 'The file is TOML: a key, = and a value on one line, and text in quotes.'],
  ])('%j', (text, remedy) => {
    expect(faults(text).remedy).toBe(remedy);
  });

  test('once each', () => {
    expect(faults('[socket]\nx = 1\ny = 1\n[journal]\nx = 1').remedy).toBe(
      'The keys of [socket] are path, group, mode.\nThe keys of [journal] are size.',
    );
  });
});

describe('any text', () => {
  /** Text that is nearly a configuration. */
  const words = [
    '[socket] [[grant]] [grant] [grant.limits] [limits] [a.b] [[a.b]] [[a]] path mode user group everyone limits',
    'events connections a b . = = = { } [ ] , # " \' """ \\u0000 \0 true 1 -1 0o660 1e400 1.5 "root" "x" "own"',
    '"64MiB" 1979-05-27 nan',
  ].flatMap((some) => some.split(' '));
  const nearly = fc
    .array(fc.constantFrom(...words, ' ', '\n', '\n', '\n'), { maxLength: 40 })
    .map((parts) => parts.join(''));
  /** Whole lines, so that more of them get past the parser. */
  const key = fc.constantFrom(
    'a',
    'b',
    'user',
    'group',
    'limits',
    'limits.connections',
    'events',
    'a.b',
    'scope',
  );
  const value = fc.constantFrom('1', '"own"', '{}', '[]', '{ a = 1 }', '[{ user = 0 }]', 'true', '["exec"]');
  const header = fc.constantFrom(
    'a',
    'grant',
    'socket',
    'limits',
    'grant.limits',
    'a.b',
    'a.b.c',
    'grant.a.b',
  );
  const line = fc.oneof(
    fc.tuple(key, value).map(([name, what]) => `${name} = ${what}`),
    header.map((name) => `[${name}]`),
    header.map((name) => `[[${name}]]`),
  );
  const lines = fc.array(line, { maxLength: 12 }).map((all) => all.join('\n'));

  /** What is wrong and does not say where. */
  function astray(bytes: Uint8Array): string[] {
    try {
      return 'outbox' in parseConfig('/x.toml', bytes).limits ? [] : ['no configuration'];
    } catch (error) {
      if (!(error instanceof ProcbusError) || error.code !== 'config') throw error;
      return error.message.split('\n').filter((told) => !/^\/x\.toml:[1-9]\d*:[1-9]\d*: ./.test(told));
    }
  }

  test('is a configuration, or an error that says where', () => {
    const text = fc.oneof(nearly, lines, fc.string({ unit: 'binary' }));
    const property = fc.property(text, (written) => {
      expect(astray(Buffer.from(written))).toEqual([]);
    });
    fc.assert(property, { numRuns: 1000 });
  });

  test('also if it is none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(astray(bytes)).toEqual([]);
      }),
    );
  });
});

describe('the file', () => {
  test('may be missing, unless it was asked for', () => {
    const path = join(temporaryDirectory(), 'procbusd.toml');
    expect(readConfig(path, false)).toEqual(defaultConfig);
    expect(() => readConfig(path, true)).toThrow(
      expect.objectContaining({
        code: 'config',
        message: expect.stringContaining(`${path}: cannot be read: ENOENT`) as unknown,
        remedy: 'Correct the path, or leave it out for the defaults.',
      }),
    );
  });

  test('has to be readable where it is there', () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'a directory'));
    expect(() => readConfig(join(directory, 'a directory'), false)).toThrow(
      expect.objectContaining({ code: 'config', message: expect.stringContaining('EISDIR') as unknown }),
    );
  });

  test('has to be readable for the user of the helper', () => {
    const path = join(temporaryDirectory(), 'procbusd.toml');
    writeFileSync(path, '');
    chmodSync(path, 0);
    const uid = process.geteuid?.();
    // Root may read everything.
    if (uid === 0) process.seteuid?.(65_534);
    try {
      expect(() => readConfig(path, false)).toThrow(
        expect.objectContaining({
          code: 'config',
          remedy: expect.stringContaining('read the file') as unknown,
        }),
      );
    } finally {
      if (uid === 0) process.seteuid?.(0);
    }
  });

  test('is read anew each time', () => {
    const path = join(temporaryDirectory(), 'procbusd.toml');
    writeFileSync(path, '[[grant]]\nuser = 7');
    expect(readConfig(path, true).rules).toMatchObject([{ who: { user: 7 } }]);
    writeFileSync(path, '[[grant]]\nuser = 8');
    expect(readConfig(path, true).rules).toMatchObject([{ who: { user: 8 } }]);
  });
});

/** An example with users and groups that are on this machine. */
const atHome = (text: string): string => text.replaceAll(/^(user|group) = ".*"/gm, '$1 = "root"');

test('the examples in docs/configuration.md are right', () => {
  const blocks = [...readFileSync(documentation, 'utf8').matchAll(/^```toml\n(.*?)^```/gms)];
  expect(blocks.length).toBeGreaterThan(2);
  for (const [, text = ''] of blocks) expect(rules(atHome(text))).not.toHaveLength(0);
});

describe('the example in packaging/', () => {
  const text = readFileSync(example, 'utf8');

  test('says nothing but the defaults as it is', () => {
    expect(parse(text)).toEqual(defaultConfig);
  });

  test('is right where all of it is said, and names every key and default', () => {
    const said = atHome(text.replaceAll(/^#(?=\[|[a-z-]+ = )/gm, ''));
    const { socket, kernel, journal, limits, rules: granted = [] } = parse(said);
    expect(socket).toEqual({ path: '/run/procbus/procbus.sock', group: 'root', mode: 0o660 });
    expect(kernel).toEqual({ receiveBuffer: 64 * 2 ** 20 });
    expect({ journal, limits }).toEqual({ journal: defaultConfig.journal, limits: defaultConfig.limits });
    expect(granted.length).toBeGreaterThan(2);
    expect(granted.at(-1)?.who).toBe('everyone');
  });
});

describe('a check', () => {
  /** What is said of a file. */
  function check(text: string): string[] {
    const path = join(temporaryDirectory(), 'procbusd.toml');
    writeFileSync(path, text);
    const [first, ...lines] = checkConfig(path).split('\n');
    expect(first).toBe(`${path}: ok`);
    expect(lines.pop()).toBe('');
    return lines;
  }

  test('says who sees all where nothing is granted', () => {
    expect(check('')).toEqual([
      "no [[grant]]: root, procbusd's own user, the socket's group and group procbus see all",
    ]);
  });

  test('tells each grant in a line, one under the other', () => {
    const text = `
      [[grant]]
      user = "root"
      [[grant]]
      group = 4000000000
      detail = "ids"
      events = ["exit", "exec"]
      stats = "own"
      limits = { connections = 2, queued-bytes = "1MiB" }
      [[grant]]
      user = 4000000001
      events = []
    `;
    expect(check(text)).toEqual([
      'user root (0)     scope all  detail args  events all        stats all',
      'group 4000000000  scope all  detail ids   events exec,exit  stats own  connections 2, queued-bytes 1MiB',
      'user 4000000001   scope all  detail args  events none       stats all',
      'others            nothing',
    ]);
  });

  test('says what is never reached, and that root is forgotten', () => {
    const text = '[[grant]]\nuser = 4000000001\n[[grant]]\nuser = 4000000001\nscope = "own"\n';
    expect(check(text)).toEqual([
      'user 4000000001   scope all  detail args  events all  stats all',
      'user 4000000001   scope own  detail args  events all  stats own  never reached: a grant above decides',
      'others, root too  nothing',
    ]);
    expect(check('[[grant]]\neveryone = true\n[[grant]]\ngroup = 4000000001')).toEqual([
      'everyone          scope all  detail args  events all  stats all',
      'group 4000000001  scope all  detail args  events all  stats all  never reached: a grant above decides',
    ]);
  });

  test('fails for a file that is wrong, or is not there', () => {
    const path = join(temporaryDirectory(), 'procbusd.toml');
    expect(() => checkConfig(path)).toThrow(expect.objectContaining({ code: 'config' }));
    writeFileSync(path, '[x]');
    expect(() => checkConfig(path)).toThrow(`${path}:1:2: there is no section "x"`);
  });
});
