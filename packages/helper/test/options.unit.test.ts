import { describe, expect, test } from 'vitest';
import { parseOptions } from '../src/options.ts';

const defaults = {
  config: undefined,
  checkConfig: false,
  socket: undefined,
  group: undefined,
  mode: undefined,
  receiveBuffer: undefined,
  connection: undefined,
};

const usage = (message: unknown): unknown =>
  expect.objectContaining({ name: 'ProcbusError', code: 'usage', message });

describe('the command line of procbusd', () => {
  test('may be empty, and then leaves all to the configuration file', () => {
    expect(parseOptions([])).toEqual(defaults);
  });

  test.each<[string[], object]>([
    [['--config', './x.toml'], { config: './x.toml' }],
    [['--check-config'], { checkConfig: true }],
    [['--check-config', '--config=/x.toml'], { checkConfig: true, config: '/x.toml' }],
    [['--socket', '/run/x.sock'], { socket: '/run/x.sock' }],
    [['--socket=./x.sock'], { socket: './x.sock' }],
    [['--group', 'procbus'], { group: 'procbus' }],
    [['--group', '1000'], { group: '1000' }],
    [['--mode', '0600'], { mode: 0o600 }],
    [['--mode', '666'], { mode: 0o666 }],
    [['--mode', '0000'], { mode: 0 }],
    [['--receive-buffer', '1'], { receiveBuffer: 1 }],
    [['--receive-buffer', '1073741824'], { receiveBuffer: 1024 ** 3 }],
    [['--connection', '3'], { connection: 3 }],
    [['--mode', '0600', '--mode', '0640'], { mode: 0o640 }],
  ])('is read: %j', (args, options) => {
    expect(parseOptions(args)).toEqual({ ...defaults, ...options });
  });

  test.each(['', '8', '0680', '66', '06600', '7777', '0o660', '-660', 'rw-rw----'])(
    'may not ask for mode "%s"',
    (mode) => {
      expect(() => parseOptions([`--mode=${mode}`])).toThrow(
        usage(`--mode ${mode}: not an octal number such as 0660`),
      );
    },
  );

  test.each(['', '0', '-1', '1.5', '1e9', '64M', '0x10', '1073741825', ' 1'])(
    'may not ask for a receive buffer of "%s"',
    (bytes) => {
      expect(() => parseOptions([`--receive-buffer=${bytes}`])).toThrow(
        usage(`--receive-buffer ${bytes}: not a number up to 1073741824`),
      );
    },
  );

  test.each(['', '-1', 'three', '1048577'])('may not name the descriptor "%s"', (fd) => {
    expect(() => parseOptions([`--connection=${fd}`])).toThrow(
      usage(`--connection ${fd}: not a number up to 1048576`),
    );
  });

  test('may not both listen and serve one connection', () => {
    expect(() => parseOptions(['--connection', '3', '--socket', 'x'])).toThrow(
      usage('--connection and --socket exclude each other'),
    );
  });

  test.each([['--sockets', 'x'], ['--foreground'], ['x'], ['--', 'x'], ['-s', 'x']])(
    'may not have what is not known: %s',
    (...args) => {
      expect(() => parseOptions(args)).toThrow(usage(expect.any(String)));
    },
  );

  test('may not both check the configuration and serve one connection', () => {
    expect(() => parseOptions(['--connection', '3', '--check-config'])).toThrow(
      usage('--connection and --check-config exclude each other'),
    );
  });

  test('may not both name a configuration and serve one connection, which has none', () => {
    expect(() => parseOptions(['--connection', '3', '--config', 'x'])).toThrow(
      usage('--connection and --config exclude each other'),
    );
  });

  test.each(['config', 'socket', 'group', 'mode', 'receive-buffer', 'connection'])(
    'may not leave out the value of --%s',
    (option) => {
      expect(() => parseOptions([`--${option}`])).toThrow(usage(expect.stringContaining(option)));
    },
  );

  test.each(['config', 'check-config', 'socket', 'group', 'mode', 'receive-buffer', 'connection'])(
    'may not negate or nest --%s',
    (option) => {
      expect(() => parseOptions([`--no-${option}`])).toThrow(usage(expect.any(String)));
      expect(() => parseOptions([`--${option}.x`, '1'])).toThrow(usage(expect.any(String)));
    },
  );

  test.each(['config', 'socket', 'group'])('may not give --%s an empty value', (option) => {
    expect(() => parseOptions([`--${option}=`])).toThrow(usage(expect.any(String)));
  });

  test('that is wrong is told where to find help', () => {
    expect(() => parseOptions(['--mode', 'x'])).toThrow(
      expect.objectContaining({ remedy: 'See procbusd --help.' }),
    );
  });
});
