import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commandLine, commandOf, shellWord } from '../src/cli/command-line.ts';

describe('a command line', () => {
  test.each<[string, string[], string]>([
    ['plain words', ['make', '-j4', 'CC=gcc', 'all'], 'make -j4 CC=gcc all'],
    ['paths and addresses', ['scp', 'a_b.c', 'anna@host:/tmp/x%20y'], 'scp a_b.c anna@host:/tmp/x%20y'],
    ['letters of any language', ['cat', 'größe', '日本語.txt'], 'cat größe 日本語.txt'],
    ['a space', ['sh', '-c', 'exit 3'], "sh -c 'exit 3'"],
    ['a quote', ['echo', "it's"], String.raw`echo 'it'\''s'`],
    ['what a shell would expand', ['ls', '*', '~', '$HOME', '{a,b}'], "ls '*' '~' '$HOME' '{a,b}'"],
    ['nothing', ['test', ''], "test ''"],
    ['a backslash', ['grep', String.raw`\d`], String.raw`grep '\d'`],
    ['a line end', ['printf', 'a\nb\tc\r'], String.raw`printf $'a\nb\tc\r'`],
    ['an escape beside a quote', ['x', "\u001b[31m'\\"], String.raw`x $'\x1b[31m\'\\'`],
    ['a C1 control', ['x', '\u009b'], String.raw`x $'\u009b'`],
    ['a right-to-left override', ['x', '\u202Etxt'], String.raw`x $'\u202etxt'`],
    ['a tag', ['x', '\u{E0041}'], String.raw`x $'\U000e0041'`],
  ])('is as it would be typed: %s', (_what, args, line) => {
    expect(commandLine(args)).toBe(line);
  });

  test.each<[string, string[], string]>([
    ['alone', ['nginx: worker process'], 'nginx: worker process'],
    ['with what is left of the arguments', ['sshd: anna [priv]', '', ''], 'sshd: anna [priv]'],
    ['with controls in it', ['a \u001b[2J'], String.raw`a \x1b[2J`],
  ])('that is a title is not quoted: %s', (_what, args, line) => {
    expect(commandLine(args)).toBe(line);
  });

  test('is one clean line whatever the arguments', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (args) => {
        expect(commandLine(args)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      }),
      { numRuns: 2000 },
    );
  });

  test('has different words for different texts', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        fc.pre(a !== b);
        expect(shellWord(a)).not.toBe(shellWord(b));
      }),
    );
  });
});

describe('a command', () => {
  test('is the name in brackets where there are no arguments', () => {
    expect(commandOf({ comm: 'kworker/0:1' })).toBe('[kworker/0:1]');
    expect(commandOf({ comm: 'a\nb', args: [] })).toBe(String.raw`[a\x0ab]`);
  });

  test('shows that there were more arguments', () => {
    expect(commandOf({ comm: 'rm', args: ['rm', 'a'], argsTruncated: true })).toBe('rm a …');
  });
});
