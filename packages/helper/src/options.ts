/*
 * The command line of procbusd.
 */
import { readFileSync } from 'node:fs';
import { defaultSocketPath, ProcbusError } from '@procbus/protocol';
import yargs from 'yargs';
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

/**
 * Reads the command line; `--help` and `--version` print and exit.
 *
 * @throws ProcbusError `usage`
 */
export function parseOptions(args: readonly string[]): Options {
  const parsed = yargs(args)
    .scriptName('procbusd')
    .usage(
      '$0 [options]\n$0 install | uninstall\n\nHolds the one subscription to the kernel’s process events, and relays them over a Unix socket.',
    )
    .option('config', {
      type: 'string',
      requiresArg: true,
      describe: `Configuration file, ${defaultConfigPath} if there is one`,
    })
    .option('check-config', {
      type: 'boolean',
      describe: 'Say whether the configuration file is right and what it grants, and exit',
    })
    .option('socket', {
      type: 'string',
      requiresArg: true,
      describe: `Path to listen at, ${defaultSocketPath} unless systemd hands a socket over`,
    })
    .option('group', { type: 'string', requiresArg: true, describe: 'Group that may connect' })
    .option('mode', {
      type: 'string',
      requiresArg: true,
      describe: `Permissions of the socket, octal, ${formatMode(defaultMode)} unless the file says otherwise`,
    })
    .option('receive-buffer', {
      type: 'string',
      requiresArg: true,
      describe: `Bytes of events that the kernel may queue, ${defaultReceiveBuffer} unless the file says otherwise; it doubles the number`,
    })
    .option('connection', {
      type: 'string',
      requiresArg: true,
      describe: 'Serve the one client connected on this inherited descriptor, then exit',
    })
    .example('$0 --group procbus', 'serve the members of group procbus')
    .example('$0 --socket ./procbus.sock', 'serve yourself, for a try')
    .epilogue(
      'Options win over the configuration file.\n\nExit status: 0 stopped by SIGTERM or SIGINT, 64 usage, 69 no events to be had, 73 socket, 77 permission, 78 configuration file.',
    )
    .version(version)
    .strict()
    .parserConfiguration({
      'duplicate-arguments-array': false,
      'boolean-negation': false,
      'dot-notation': false,
    })
    .fail((message: string | null, error: Error | undefined) => {
      // yargs gives its own complaints as a message, with or without an error of its own.
      throw error instanceof ProcbusError || message === null ? error : usageError(message);
    })
    .parseSync();
  if (parsed._.length > 0) throw usageError(`unexpected argument: ${String(parsed._[0])}`);
  if (parsed.config === '') throw usageError('--config needs a path');
  if (parsed.socket === '') throw usageError('--socket needs a path');
  if (parsed.group === '') throw usageError('--group needs a name');
  // A private helper serves who started it: it has neither a path nor a configuration.
  const other = (['socket', 'config', 'check-config'] as const).find((name) => Boolean(parsed[name]));
  if (parsed.connection !== undefined && other !== undefined) {
    throw usageError(`--connection and --${other} exclude each other`);
  }
  return {
    config: parsed.config,
    checkConfig: parsed['check-config'] ?? false,
    socket: parsed.socket,
    group: parsed.group,
    mode: parsed.mode === undefined ? undefined : mode(parsed.mode),
    receiveBuffer: number('receive-buffer', parsed['receive-buffer'], /^[1-9][0-9]*$/, receiveBufferLimit),
    connection: number('connection', parsed.connection, /^[0-9]+$/, 1024 ** 2),
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

function usageError(message: string): ProcbusError {
  return new ProcbusError('usage', message, { remedy: 'See procbusd --help.' });
}
