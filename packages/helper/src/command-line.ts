/*
 * Command lines, read by what Node brings along: a privileged program has no more dependencies than it must have.
 */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { ProcbusError } from '@procbus/protocol';

type OptionsConfig = NonNullable<ParseArgsConfig['options']>;

/** What `parseArgs` gives for some options. */
type Values<Options extends OptionsConfig> = ReturnType<typeof parseArgs<{ options: Options }>>['values'];

/**
 * Reads the options of a command, which has no other arguments. `--help` prints and exits.
 *
 * @param command - as it is typed, `procbusd install`
 * @param help - what `--help` prints
 * @throws ProcbusError `usage`
 */
export function readCommandLine<Options extends OptionsConfig>(
  command: string,
  args: readonly string[],
  options: Options,
  help: string,
): Values<Options> {
  const known = { ...options, help: { type: 'boolean' } } as const;
  try {
    const { values } = parseArgs({ args: [...args], options: known });
    if ((values as { help?: boolean }).help !== true) return values;
  } catch (error) {
    // Node says in further sentences what might have been meant.
    const [complaint = ''] = (error as Error).message.split('. ');
    throw usageError(complaint, command);
  }
  process.stdout.write(help);
  process.exit(0);
}

/** The error for a command line that is wrong. */
export function usageError(message: string, command = 'procbusd'): ProcbusError {
  return new ProcbusError('usage', message, { remedy: `See ${command} --help.` });
}
