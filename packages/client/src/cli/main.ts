/*
 * procbus: the command line.
 */
import { exitStatusOf, ProcbusError } from '@procbus/protocol';
import yargs from 'yargs';
import { version } from '../version.ts';
import { watchCommand } from './watch.ts';

/** Runs one command; the exit status is left in `process.exitCode`. */
export async function main(args: readonly string[]): Promise<void> {
  // A command whose stderr is gone goes on.
  process.stderr.on('error', () => undefined);
  try {
    await yargs(args)
      .scriptName('procbus')
      .usage('$0 <command>\n\nWhat the processes of this machine do, as it happens.')
      .command(watchCommand)
      .demandCommand(1, 'Which command?')
      .strict()
      .parserConfiguration({
        'duplicate-arguments-array': false,
        'boolean-negation': false,
        'dot-notation': false,
      })
      .version(version)
      .fail((message: string | null, error: Error | undefined) => {
        // yargs gives its own complaints as a message, with or without an error of its own.
        throw error instanceof ProcbusError || message === null ? error : usageError(message);
      })
      .parseAsync();
  } catch (error) {
    if (!(error instanceof ProcbusError)) throw error;
    process.stderr.write(`procbus: ${error.message}\n`);
    if (error.remedy !== undefined) process.stderr.write(`procbus: ${error.remedy}\n`);
    process.exitCode = exitStatusOf(error.code);
  }
}

function usageError(message: string): ProcbusError {
  return new ProcbusError('usage', message, { remedy: 'See procbus --help.' });
}
