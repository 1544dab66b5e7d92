import { stripVTControlCharacters } from 'node:util';
import { eventTypes, type ProcessEvent, type StreamEvent } from '@procbus/protocol';
import * as fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { printable, renderLine } from '../src/cli/render.ts';

beforeEach(() => {
  process.env['TZ'] = 'UTC';
});

const stamp = {
  seq: 4712,
  time: '2025-11-22T15:56:46.812649Z',
  kernelTime: '2364689192613',
  cpu: 1,
  pid: 1234,
  tid: 1234,
};

const examples: { [T in ProcessEvent['type']]: Extract<ProcessEvent, { type: T }> } = {
  fork: { ...stamp, type: 'fork', ppid: 1200, ptid: 1201 },
  exec: { ...stamp, type: 'exec' },
  exit: { ...stamp, type: 'exit', status: 768, exitCode: 3, ppid: 1200 },
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

describe('a line', () => {
  test.each<[string, StreamEvent]>([
    ['15:56:46.812649  fork      1234     child of 1200', examples.fork],
    ['15:56:46.812649  exec      1234', examples.exec],
    ['15:56:46.812649  exit      1234     exit 3', examples.exit],
    [
      '15:56:46.812649  exit      1234     exit 0',
      { ...stamp, type: 'exit', status: 0, exitCode: 0, ppid: 1 },
    ],
    [
      '15:56:46.812649  exit      1234     killed by SIGKILL',
      { ...stamp, type: 'exit', status: 9, signal: 'SIGKILL', coreDumped: false, ppid: 1 },
    ],
    [
      '15:56:46.812649  exit      1234     killed by SIGSEGV (core dumped)',
      { ...stamp, type: 'exit', status: 139, signal: 'SIGSEGV', coreDumped: true, ppid: 1 },
    ],
    ['15:56:46.812649  uid       1234     user 1001, effective 0', examples.uid],
    ['15:56:46.812649  gid       1234     group 2001, effective 0', examples.gid],
    ['15:56:46.812649  sid       1234     new session', examples.sid],
    ['15:56:46.812649  ptrace    1234     traced by 1240', examples.ptrace],
    [
      '15:56:46.812649  ptrace    1234     no longer traced',
      { ...stamp, type: 'ptrace', tracerPid: 0, tracerTid: 0 },
    ],
    ['15:56:46.812649  comm      1234     named kworker/Ü:1', examples.comm],
    ['15:56:46.812649  coredump  1234     dumps core', examples.coredump],
    ['15:56:46.812649  lost      31 events lost: the kernel’s queue was full', lost],
    [
      '15:56:46.812649  lost      events lost, nobody knows how many: the kernel had stopped telling them',
      { ...lost, count: 0 },
    ],
    ['15:56:46.812649  lost      1 event lost: read too slowly', { ...lost, where: 'queue', count: 1 }],
  ])('says "%s"', (line, event) => {
    expect(plain(event)).toBe(line);
  });

  test.each<[string, StreamEvent]>([
    ['15:56:46.812649  fork      1234/1236        new thread', { ...examples.fork, tid: 1236 }],
    ['15:56:46.812649  exit      1234/1236        thread ended', { ...examples.exit, tid: 1236 }],
    [
      '15:56:46.812649  comm      4194304/4194303  named a',
      { ...examples.comm, pid: 4194304, tid: 4194303, comm: 'a' },
    ],
    ['15:56:46.812649  exec      1234', examples.exec],
    ['15:56:46.812649  sid       1234             new session', examples.sid],
  ])('says "%s" where threads are shown', (line, event) => {
    expect(withThreads(event)).toBe(line);
  });

  test('of a core dump names the thread at fault', () => {
    expect(plain({ ...examples.coredump, tid: 1236 })).toBe(
      '15:56:46.812649  coredump  1234     dumps core, thread 1236 at fault',
    );
  });

  test('gives the time of day where the reader is', () => {
    process.env['TZ'] = 'Asia/Kolkata';
    expect(plain(examples.exec)).toMatch(/^21:26:46\.812649 /);
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
      expect(stripVTControlCharacters(line).trimEnd()).toBe(plain(event));
    }
  });
});

describe('hostile text', () => {
  test.each<[string, string, string]>([
    ['an escape', '\u001b[31mbad', String.raw`\x1b[31mbad`],
    ['a line end', 'a\nb\r', String.raw`a\x0ab\x0d`],
    ['a tab and a bell', '\t\u0007', String.raw`\x09\x07`],
    ['a delete', '\u007f', String.raw`\x7f`],
    ['a C1 control', '\u009b31m', String.raw`\x9b31m`],
    ['a right-to-left override', 'exe.\u202Etxt', String.raw`exe.\u{202e}txt`],
    ['an isolate', '\u2066a\u2069', String.raw`\u{2066}a\u{2069}`],
    ['a zero-width space', 'a\u200Bb', String.raw`a\u{200b}b`],
    ['a byte order mark', '\uFEFFa', String.raw`\u{feff}a`],
    ['a line separator', 'a\u2028b\u2029', String.raw`a\u{2028}b\u{2029}`],
    ['half a surrogate pair', 'a\uD800', String.raw`a\u{d800}`],
    ['the other half', '\uDFFFa', String.raw`\u{dfff}a`],
    ['a tag', '\u{E0041}', String.raw`\u{e0041}`],
    ['a private character', '\uE000', String.raw`\u{e000}`],
    ['a backslash', String.raw`\x1b`, String.raw`\\x1b`],
  ])('is escaped: %s', (_name, text, shown) => {
    expect(printable(text)).toBe(shown);
    expect(plain({ ...examples.comm, comm: text })).toBe(
      `15:56:46.812649  comm      1234     named ${shown}`,
    );
  });

  test.each(['bash', 'Ünïcødé', '日本語', '🦊', '(sd-pam)', 'kworker/0:1-events', 'a b'])(
    'is not what people write: %s',
    (text) => {
      expect(printable(text)).toBe(text);
    },
  );

  test('never gets a control or formatting character through', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
    );
    fc.assert(
      fc.property(text, (hostile) => {
        expect(printable(hostile)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      }),
      { numRuns: 2000 },
    );
  });

  test('of two kinds never looks the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        fc.pre(a !== b);
        expect(printable(a)).not.toBe(printable(b));
      }),
    );
  });
});
