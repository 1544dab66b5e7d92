import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { optionTable, type Command } from '../src/cli/command.ts';
import { fullCommandLine } from '../src/cli/full-command-line.ts';
import { commands as loaders } from '../src/cli/main.ts';
import { plainArguments } from '../src/cli/plain-arguments.ts';

const commands = new Map<string, Command>();
for (const [name, load] of loaders) commands.set(name, await load());

function named(name: string): Command {
  const command = commands.get(name);
  if (command === undefined) throw new Error(`there is no ${name}`);
  return command;
}

/** What yargs gives a command that is called so; undefined if it answers or refuses by itself. */
async function byYargs(name: string, args: readonly string[]): Promise<Record<string, unknown> | undefined> {
  let given: Record<string, unknown> | undefined;
  const handler = (values: Record<string, unknown>): void => {
    given = Object.fromEntries(Object.entries(values).filter(([key]) => key !== '_' && key !== '$0'));
  };
  const recording = [...commands.values()].map((command) => Object.assign({}, command, { handler }));
  try {
    // With a function in its place, nothing is printed, and the process goes on.
    await fullCommandLine([name, ...args], recording).parseAsync([name, ...args], {}, () => undefined);
  } catch {
    return undefined;
  }
  return given;
}

const camelCase = (name: string): string =>
  name.replaceAll(/-(\w)/g, (_, first: string) => first.toUpperCase());

/** Arguments that may or may not be right, of each command. */
const called = fc.constantFrom(...commands).chain(([name, command]) => {
  const known = [...optionTable(command).options.keys()];
  const option = fc.constantFrom(
    ...known,
    ...known.map(camelCase),
    'help',
    'version',
    'no-json',
    'nonsense',
    'h',
  );
  const value = fc.constantFrom(
    '1',
    '-1',
    '-x',
    'a,b',
    '',
    ' ',
    'true',
    'false',
    'help',
    '--',
    '-',
    'watch',
    '0x10',
  );
  const word = fc.oneof(
    option.map((flag) => [`--${flag}`]),
    fc.tuple(option, value).map(([flag, text]) => [`--${flag}`, text]),
    fc.tuple(option, value).map(([flag, text]) => [`--${flag}=${text}`]),
    value.map((text) => [text]),
  );
  return fc.array(word, { maxLength: 4 }).map((words) => ({ name, args: words.flat() }));
});

test.each([...commands])('%s is called so by yargs, too', (name, { command }) => {
  expect(command).toBe(name);
});

describe('plain arguments', () => {
  test('are what yargs would give a command, and never what it would not', async () => {
    await fc.assert(
      fc.asyncProperty(called, async ({ name, args }) => {
        expect([undefined, await byYargs(name, args)]).toContainEqual(plainArguments(named(name), args));
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ['watch', []],
    ['watch', ['--json', '--count', '5', '--events', 'exec,exit', '--not-comm', 'sh', '--since=5m']],
    ['watch', ['--show-cursor', '--cursor-file', 'at', '--args=-c *', '--max-delay', '0s']],
    ['ps', ['--tree', '--ended', '--user', 'anna', '--include', 'cwd']],
    ['stats', ['--watch', '--interval', '1s', '--socket', '/s']],
    ['doctor', ['--json']],
  ])('%s %j are plain, and the same by yargs', async (name, args) => {
    const plain = plainArguments(named(name), args);
    expect(plain).toBeDefined();
    expect(plain).toEqual(await byYargs(name, args));
  });

  test.each([
    ['--help'],
    ['--version'],
    ['--count'],
    ['--nonsense'],
    ['word'],
    ['--', 'word'],
    ['--json', 'help'],
  ])('are not %s %s', (...args) => {
    expect(plainArguments(named('watch'), args)).toBeUndefined();
  });

  test('are none of a command that says more of its options than is known here', () => {
    const builder = (yargs: { option: (name: string, option: object) => unknown }): unknown =>
      yargs.option('colour', { type: 'string', choices: ['red'] });
    expect(plainArguments({ builder, handler: () => undefined }, ['--colour', 'blue'])).toBeUndefined();
  });
});
