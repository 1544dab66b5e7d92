/*
 * Completion, as the shells themselves do it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { procbus } from './support/procbus.ts';
import { needsProgram, suite } from './support/requirements.ts';

const directory = mkdtempSync(join(tmpdir(), 'procbus-completion-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A suite with the script for a shell in a file. */
function shellSuite(shell: string, body: (shell: string, script: string) => void): void {
  suite(`completion in ${shell}`, [needsProgram(shell)], () => {
    const script = join(directory, shell);
    beforeAll(() => writeFileSync(script, execFileSync(process.execPath, [procbus, 'completion', shell])));
    body(shell, script);
  });
}

/** The commands, and their options, by what --help has. */
let known: Record<string, string[]> = {};
beforeAll(() => {
  const help = (...args: string[]): string =>
    execFileSync(process.execPath, [procbus, ...args, '--help'], { encoding: 'utf8' });
  const commands = [...help().matchAll(/^ {2}procbus (\w+)/gm)].map(([, name = '']) => name);
  known = Object.fromEntries(
    commands.map((command) => [
      command,
      [...help(command).matchAll(/^ {2}(--[\w-]+)/gm)]
        .map(([, flag = '']) => flag)
        .filter((flag) => flag !== '--version'),
    ]),
  );
});

/** What each line completes to, in a shell that offers a list. */
const offered: [typed: string, words: string[]][] = [
  ['watch --show', ['--show-cursor']],
  ['watch --not-ex', ['--not-exe', '--not-exit']],
  ['watch --events ex', ['exec', 'exit']],
  ['watch --events fork,ex', ['fork,exec', 'fork,exit']],
  ['watch --include c', ['cgroup', 'container', 'cwd']],
  ['ps --exit ', ['failed', 'signaled']],
  ['ps --json --not-container a', ['any']],
  ['ps --user roo', ['root']],
  ['stats --socket /etc/hostn', ['/etc/hostname']],
  ['stats --prom', ['--prometheus']],
  ['watch --count ', []],
  ['completion z', ['zsh']],
  ['nonsense --', []],
];

shellSuite('bash', (shell, script) => {
  const complete = (line: string): string[] => {
    const words = `procbus ${line}`.split(' ');
    const ask = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _procbus; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync(shell, ['-c', ask, script, ...words], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return stdout.split('\n').filter((word) => word !== '');
  };

  test('offers all commands, and of each of them all options', () => {
    expect(complete('')).toEqual([...Object.keys(known), '--help', '--version']);
    for (const [command, flags] of Object.entries(known)) {
      expect(complete(`${command} --`)).toEqual(expect.arrayContaining(flags));
    }
  });

  test.each(offered)('%s', (typed, words) => {
    expect(complete(typed).toSorted()).toEqual(words);
  });

  test('offers pids', () => {
    expect(complete(`watch --subtree 1,${process.pid}`)).toContain(`1,${process.pid}`);
  });

  test('knows the = of --events=ex, which is a word of its own', () => {
    expect(complete('watch --events =')).toContain('fork');
    expect(complete('watch --events = ex')).toEqual(['exec', 'exit']);
  });

  test('runs nothing that a process may be called', () => {
    expect(readFileSync(script, 'utf8')).not.toMatch(/comm\b.*\/proc|\/proc.*comm\b/);
  });
});

shellSuite('fish', (shell, script) => {
  const complete = (line: string): string[] => {
    const ask = `source "$argv[1]"; complete -C "procbus $argv[2]"`;
    const { stdout, stderr } = spawnSync(shell, ['--no-config', '-c', ask, script, line], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    const words = stdout.split('\n').map((word) => word.split('\t')[0] ?? '');
    return words.filter((word) => word !== '');
  };

  test('offers all commands, and of each of them all options', () => {
    expect(complete('').toSorted()).toEqual(Object.keys(known).toSorted());
    for (const [command, flags] of Object.entries(known)) {
      expect(complete(`${command} --`)).toEqual(expect.arrayContaining(flags));
    }
  });

  test.each(offered)('%s', (typed, words) => {
    expect(complete(typed).toSorted()).toEqual(words);
  });
});

shellSuite('zsh', (shell, script) => {
  /** Types a line and the tab key into a terminal; true when the line has become another one. */
  const becomes = (typed: string, line: string): boolean => {
    const ask = String.raw`
      zmodload zsh/zpty
      zpty shell zsh -f -i
      # What is typed is echoed as it was typed, so this appears only when it has been done.
      zpty -w shell 'PS1=; unsetopt zle; autoload -Uz compinit; compinit -u -D; source $1; print begin''ning; setopt zle'
      zpty -r -m shell text '*beginning*' || exit 1
      zpty -w -n shell "procbus $2"$'\t'
      zpty -r -m shell text "*procbus $3*"
    `.replace('source $1', `source ${script}`);
    return spawnSync(shell, ['-f', '-c', ask, shell, '', typed, line], { timeout: 20_000 }).status === 0;
  };

  test.each([
    ['wat', 'watch'],
    ['watch --show', 'watch --show-cursor'],
    ['watch --events fork,exe', 'watch --events fork,exec'],
    ['watch --events=cor', 'watch --events=coredump'],
    ['ps --user=roo', 'ps --user=root'],
    ['stats --prom', 'stats --prometheus'],
    ['completion f', 'completion fish'],
  ])('%s becomes %s', (typed, line) => {
    expect(becomes(typed, line)).toBe(true);
  });
});
