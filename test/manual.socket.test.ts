/*
 * The manual pages, held against what the programs say of themselves.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { procbus, procbusd } from './support/procbus.ts';
import { inRepository, run } from './support/program.ts';
import { needsProgram, suite } from './support/requirements.ts';

const folder = inRepository('packaging/man');
const pages = readdirSync(folder);
const page = (name: string): string => readFileSync(join(folder, name), 'utf8');

/** What a program prints for --help. */
function helpOf(program: string, ...args: string[]): string {
  return execFileSync(process.execPath, [program, ...args, '--help'], { encoding: 'utf8' });
}

/** The long options at the beginning of lines of a help text. */
const optionsIn = (help: string): string[] =>
  [...help.matchAll(/^ {2}--([\w-]+)/gm)].map(([, name = '']) => name);
/** Those that a page explains. */
const explainedIn = (text: string): string[] =>
  [...text.matchAll(/^\.It Fl -([\w-]+)/gm)].map(([, name = '']) => name);

/** The part of a page below a heading, up to the next one. */
function below(text: string, heading: string): string {
  const [, part] = text.split(`\n${heading}\n`);
  if (part === undefined) throw new Error(`the page has no ${heading}`);
  return part.split(/^\.S[hs] /m)[0] ?? '';
}

const names = (options: readonly string[]): string[] => [...new Set(options)].toSorted();

describe('procbus(1)', () => {
  const text = page('procbus.1');
  const commands = [...helpOf(procbus).matchAll(/^ {2}procbus (\w+)/gm)].map(([, name = '']) => name);
  const common = explainedIn(below(text, '.Ss Options of all commands'));
  const filters = explainedIn(below(text, '.Ss Filters'));

  test.each(commands)('explains the options of procbus %s, each of them and no others', (command) => {
    const help = helpOf(procbus, command);
    const filtering = help.includes('\nFilter:\n') ? filters : [];
    const explained = [...explainedIn(below(text, `.Ss procbus ${command}`)), ...common, ...filtering];
    expect(names(explained)).toEqual(names(optionsIn(help)));
    // The synopsis, too, has a place for all but the filters.
    const [, synopsis = ''] = below(text, '.Sh SYNOPSIS').split(`.Cm ${command}\n`);
    const shown = [...(synopsis.split('.Nm')[0] ?? '').matchAll(/Fl -([\w-]+)/g)].map(
      ([, name = '']) => name,
    );
    const own = optionsIn(help).filter(
      (name) => ![...common, ...filters].includes(name) && name !== 'events',
    );
    expect(names(shown)).toEqual(names(own));
  });

  test('has every type of event and every fact that can be included', () => {
    const help = helpOf(procbus, 'watch').replaceAll(/\s+/g, ' ');
    for (const [, list = ''] of help.matchAll(/(?:Only these|of the process): ([a-z,]+)/g)) {
      expect(text).toContain(`.Cm ${list.replaceAll(',', ' , ')} .`);
    }
  });
});

describe('procbusd(8)', () => {
  const text = page('procbusd.8');

  test('explains the options of procbusd, each of them and no others', () => {
    expect(names(explainedIn(below(text, '.Sh DESCRIPTION')))).toEqual(names(optionsIn(helpOf(procbusd))));
  });

  test('explains those of install and uninstall', () => {
    const both = [...optionsIn(helpOf(procbusd, 'install')), ...optionsIn(helpOf(procbusd, 'uninstall'))];
    const explained = explainedIn(below(text, '.Ss Installing it'));
    expect(names([...explained, 'help'])).toEqual(names(both));
  });

  test('has the exit statuses that --help has', () => {
    const [, statuses = ''] = helpOf(procbusd).split('Exit status:');
    const explained = [...below(text, '.Sh EXIT STATUS').matchAll(/^\.It (\d+)/gm)].map(
      ([, status]) => status,
    );
    expect(explained).toEqual(statuses.match(/\d+/g));
  });
});

test('procbusd.toml(5) explains every key of the file that is shipped', () => {
  const text = page('procbusd.toml.5');
  const shipped = readFileSync(inRepository('packaging/procbusd.toml'), 'utf8');
  const sections = shipped.split(/^#?(?=\[)/m).slice(1);
  expect(sections.length).toBeGreaterThan(4);
  for (const section of sections) {
    const [, heading = ''] = /^(\[+\w+\]+)/.exec(section) ?? [];
    const keys = [...section.matchAll(/^#([a-z-]+) = /gm)].map(([, key = '']) => key);
    expect(below(text, `.Ss ${heading}`).match(/^\.It Cm [a-z-]+/gm)).toEqual(
      expect.arrayContaining(keys.map((key) => `.It Cm ${key}`)),
    );
  }
});

suite('man renders', [needsProgram('man')], () => {
  test.each(pages)('%s without a warning', async (name) => {
    const env = { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '100' };
    const rendered = await run('man', ['--warnings', '-E', 'UTF-8', '-l', join(folder, name)], { env });
    expect(rendered.stderr).toBe('');
    expect(rendered.stdout).toContain('DESCRIPTION');
    expect(await rendered.ended).toBe(0);
  });
});

suite('mandoc has nothing to warn of', [needsProgram('mandoc')], () => {
  test.each(pages)('in %s', async (name) => {
    const checked = await run('mandoc', ['-T', 'lint', '-W', 'warning', join(folder, name)]);
    expect(checked.stdout + checked.stderr).toBe('');
  });
});
