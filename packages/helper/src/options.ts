/*
 * The command line of procbusd.
 */
import { readFileSync } from 'node:fs';
import { defaultSocketPath, ProcbusError } from '@procbus/protocol';
import yargs from 'yargs';
import { defaultReceiveBuffer } from './kernel/connector.ts';

/** What the command line asks for. */
export interface Options {
  /** Undefined where none was named. */
  readonly socket: string | undefined;
  readonly group: string | undefined;
  readonly mode: number;
  readonly receiveBuffer: number;
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
      '$0 [options]\n\nHolds the one subscription to the kernel’s process events, and relays them over a Unix socket.',
    )
    .option('socket', {
      type: 'string',
      requiresArg: true,
      describe: `Path to listen at, ${defaultSocketPath} unless systemd hands a socket over`,
    })
    .option('group', { type: 'string', requiresArg: true, describe: 'Group that may connect' })
    .option('mode', {
      type: 'string',
      requiresArg: true,
      default: '0660',
      describe: 'Permissions of the socket, octal',
    })
    .option('receive-buffer', {
      type: 'string',
      requiresArg: true,
      default: String(defaultReceiveBuffer),
      describe: 'Bytes of events that the kernel may queue; it doubles the number',
    })
    .option('connection', {
      type: 'string',
      requiresArg: true,
      describe: 'Serve the one client connected on this inherited descriptor, then exit',
    })
    .example('$0 --group procbus', 'serve the members of group procbus')
    .example('$0 --socket ./procbus.sock', 'serve yourself, for a try')
    .epilogue(
      'Exit status: 0 stopped by SIGTERM or SIGINT, 64 usage, 69 no events to be had, 73 socket, 77 permission.',
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
  if (parsed.socket === '') throw usageError('--socket needs a path');
  if (parsed.group === '') throw usageError('--group needs a name');
  if (parsed.connection !== undefined && parsed.socket !== undefined) {
    throw usageError('--connection and --socket exclude each other');
  }
  return {
    socket: parsed.socket,
    group: parsed.group,
    mode: number('mode', parsed.mode, /^0?[0-7]{3}$/, 8, 0o777),
    receiveBuffer: number('receive-buffer', parsed['receive-buffer'], /^[1-9][0-9]*$/, 10, 1024 ** 3),
    connection:
      parsed.connection === undefined
        ? undefined
        : number('connection', parsed.connection, /^[0-9]+$/, 10, 1024 ** 2),
  };
}

function number(name: string, text: string, form: RegExp, base: number, highest: number): number {
  const value = Number.parseInt(text, base);
  if (form.test(text) && value <= highest) return value;
  throw usageError(
    `--${name} ${text}: not ${base === 8 ? 'an octal number such as 0660' : `a number up to ${highest}`}`,
  );
}

function usageError(message: string): ProcbusError {
  return new ProcbusError('usage', message, { remedy: 'See procbusd --help.' });
}
