/*
 * The command line of procbusd.
 */
import { readFileSync } from 'node:fs';
import { defaultSocketPath } from '@procbus/protocol';
import { readCommandLine, usageError } from './command-line.ts';
import { defaultConfigPath, defaultMode } from './config/config.ts';
import { parseMode, receiveBufferLimit } from './config/sections.ts';
import { defaultReceiveBuffer } from './kernel/connector.ts';

/** What the command line asks for; undefined where it says nothing, and then the configuration file may. */
export interface Options {
  /** The configuration file, which has to exist where it is named. */
  readonly config: string | undefined;
  /** Only says whether the configuration file is right. */
  readonly checkConfig: boolean;
  readonly socket: string | undefined;
  readonly group: string | undefined;
  readonly mode: number | undefined;
  /** Bytes. */
  readonly receiveBuffer: number | undefined;
  /** A connected socket to serve, in place of listening. */
  readonly connection: number | undefined;
}

/** The version of the package. */
export const version: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

const known = {
  config: { type: 'string' },
  'check-config': { type: 'boolean' },
  socket: { type: 'string' },
  group: { type: 'string' },
  mode: { type: 'string' },
  'receive-buffer': { type: 'string' },
  connection: { type: 'string' },
  version: { type: 'boolean' },
} as const;

const help = `procbusd [options]
procbusd install | uninstall

Holds the one subscription to the kernel’s process events, and relays them over
a Unix socket.

Options:
  --config PATH           Configuration file, ${defaultConfigPath} if there
                          is one
  --check-config          Say whether the configuration file is right and what
                          it grants, and exit
  --socket PATH           Path to listen at, ${defaultSocketPath}
                          unless systemd hands a socket over
  --group NAME            Group that may connect
  --mode MODE             Permissions of the socket, octal, ${formatMode(defaultMode)} unless the
                          file says otherwise
  --receive-buffer BYTES  Bytes of events that the kernel may queue, ${defaultReceiveBuffer}
                          unless the file says otherwise; it doubles the number
  --connection FD         Serve the one client connected on this inherited
                          descriptor, then exit
  --help                  Show help
  --version               Show version number

Examples:
  procbusd --group procbus          serve the members of group procbus
  procbusd --socket ./procbus.sock  serve yourself, for a try

Options win over the configuration file.

Exit status: 0 stopped by SIGTERM or SIGINT, 64 usage, 69 no events to be had,
73 socket, 77 permission, 78 configuration file.
`;

/**
 * Reads the command line; `--help` and `--version` print and exit.
 *
 * @throws ProcbusError `usage`
 */
export function parseOptions(args: readonly string[]): Options {
  const values = readCommandLine('procbusd', args, known, help);
  if (values.version === true) {
    process.stdout.write(`${version}\n`);
    process.exit(0);
  }
  if (values.config === '') throw usageError('--config needs a path');
  if (values.socket === '') throw usageError('--socket needs a path');
  if (values.group === '') throw usageError('--group needs a name');
  // A private helper serves who started it: it has neither a path nor a configuration.
  const other = (['socket', 'config', 'check-config'] as const).find((name) => Boolean(values[name]));
  if (values.connection !== undefined && other !== undefined) {
    throw usageError(`--connection and --${other} exclude each other`);
  }
  return {
    config: values.config,
    checkConfig: values['check-config'] ?? false,
    socket: values.socket,
    group: values.group,
    mode: values.mode === undefined ? undefined : mode(values.mode),
    receiveBuffer: number('receive-buffer', values['receive-buffer'], /^[1-9][0-9]*$/, receiveBufferLimit),
    connection: number('connection', values.connection, /^[0-9]+$/, 1024 ** 2),
  };
}

function mode(text: string): number {
  const value = parseMode(text);
  if (value !== undefined) return value;
  throw usageError(`--mode ${text}: not an octal number such as ${formatMode(defaultMode)}`);
}

function formatMode(value: number): string {
  return value.toString(8).padStart(4, '0');
}

function number(name: string, text: string | undefined, form: RegExp, highest: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (form.test(text) && value <= highest) return value;
  throw usageError(`--${name} ${text}: not a number up to ${highest}`);
}
