import { conditionFields, parseFilter, type FilterRequest } from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import yargs from 'yargs';
import { readFilter, withEventFilter, withFilter } from '../src/cli/filter-options.ts';

/** The filter that a command line asks for. */
function filterOf(...args: string[]): FilterRequest {
  const parsed = withEventFilter(yargs(args))
    .strict()
    .exitProcess(false)
    .parserConfiguration({ 'boolean-negation': false, 'dot-notation': false })
    .fail((message: string | null, error: Error | undefined) => {
      throw error ?? new Error(message ?? '');
    })
    .parseSync();
  return readFilter({ ...parsed });
}

describe('options of a filter', () => {
  test('ask for nothing where there are none', () => {
    expect(filterOf()).toEqual({});
  });

  test.each<[string[], FilterRequest]>([
    [['--events', 'exec,exit'], { events: ['exec', 'exit'] }],
    [['--events', 'exec', '--events', 'exit'], { events: ['exec', 'exit'] }],
    [['--include', 'args, cwd'], { include: ['args', 'cwd'] }],
    [['--pid', '1,2', '--pid=3'], { pids: [1, 2, 3] }],
    [['--subtree', '1200,1234.k3f'], { subtree: [1200, '1234.k3f'] }],
    [['--uid', '0'], { uids: [0] }],
    [['--user', 'anna,bob'], { users: ['anna', 'bob'] }],
    [['--comm', 'a,b', '--comm', 'c*'], { comm: ['a,b', 'c*'] }],
    [['--exe', '/usr/bin/*'], { exe: ['/usr/bin/*'] }],
    [['--args=-c *'], { args: ['-c *'] }],
    [['--cgroup', '/user.slice/*'], { cgroup: ['/user.slice/*'] }],
    [['--container', 'none'], { container: ['none'] }],
    [['--exit', 'failed', '--exit', '0,signaled'], { exit: ['failed', 0, 'signaled'] }],
    [['--min-runtime', '10ms', '--max-runtime', '5m'], { minRuntime: 0.01, maxRuntime: 300 }],
    [['--min-runtime', '1s', '--min-runtime', '2s'], { minRuntime: 2 }],
    [['--not-comm', 'kworker*', '--not-uid', '0'], { not: { comm: ['kworker*'], uids: [0] } }],
    [['--comm', 'a*', '--not-comm', 'ab'], { comm: ['a*'], not: { comm: ['ab'] } }],
    [['--not-max-runtime', '2s'], { not: { maxRuntime: 2 } }],
  ])('%j', (args, filter) => {
    expect(filterOf(...args)).toEqual(filter);
  });

  test('are there for every condition, and for its opposite', () => {
    const values = { minRuntime: '1s', maxRuntime: '1s', exit: 'failed', pids: '1', subtree: '1', uids: '1' };
    const args = conditionFields.flatMap((field) => {
      const flag = field.replace(/^(pid|uid|user)s$/, '$1').replace('Runtime', '-runtime');
      const value = (values as Record<string, string>)[field] ?? 'x';
      return [`--${flag}`, value, `--not-${flag}`, value];
    });
    const { where, not } = parseFilter(filterOf(...args));
    expect(where.map(({ field }) => field)).toEqual(conditionFields);
    expect(not.map(({ field }) => field)).toEqual(conditionFields);
  });

  test.each<[string[], string]>([
    [['--events', 'exce'], '--events: there is no "exce"'],
    [['--events', ''], '--events: there is no ""'],
    [['--include', 'all'], '--include: there is no "all"'],
    [['--pid', 'init'], '--pid: "init" is not a pid'],
    [['--pid', '1,,2'], '--pid: "" is not a pid'],
    [['--not-uid', '-1'], '--not-uid: "-1" is not a user id'],
    [['--exit', '256'], '--exit: 256 is not failed, signaled or an exit code'],
    [['--comm', '[a'], '--comm: the pattern has a [ that no ] closes'],
    [['--not-exe', ''], '--not-exe: the pattern is empty'],
    [['--min-runtime', '5'], '--min-runtime 5: not a time, such as'],
    [['--not-max-runtime', 'soon'], '--not-max-runtime soon: not a time, such as'],
    [['--args'], 'Not enough arguments following: args'],
  ])('that are wrong are named: %j', (args, message) => {
    expect(() => filterOf(...args)).toThrow(message);
  });

  test('are listed in a group of their own, without the opposites', async () => {
    const help = await withFilter(yargs([])).getHelp();
    const [, filter = ''] = help.split('Filter:');
    for (const flag of ['--pid', '--subtree', '--cgroup', '--max-runtime'])
      expect(filter).toContain(`${flag} `);
    expect(help).not.toContain('--not-');
    expect(help).not.toContain('--events');
  });
});
