/*
 * procbus: the command line.
 */
import { exitStatusOf, ProcbusError } from '@procbus/protocol';
import yargs from 'yargs';
import { version } from '../version.ts';
import { completionCommand } from './completion.ts';
import { doctorCommand } from './doctor.ts';
import { psCommand } from './ps.ts';
import { statsCommand } from './stats.ts';
import { watchCommand } from './watch.ts';

const commands = [watchCommand, psCommand, statsCommand, doctorCommand];

/** Runs one command; the exit status is left in `process.exitCode`. */
export async function main(args: readonly string[]): Promise<void> {
  // A command whose stderr is gone goes on.
  process.stderr.on('error', () => undefined);
  try {
    await yargs(args)
      .scriptName('procbus')
      .usage('$0 <command>\n\nWhat the processes of this machine do, as it happens.')
      .command(watchCommand)
      .command(psCommand)
      .command(statsCommand)
      .command(doctorCommand)
      .command(completionCommand(commands))
      .demandCommand(1, 'Which command?')
      .strict()
      .parserConfiguration({
        'boolean-negation': false,
        'dot-notation': false,
      })
      .version(version)
      .fail((message: string | null, error: Error | undefined) => {
        // yargs gives its own complaints as a message, with or without an error of its own.
        throw error instanceof ProcbusError || message === null ? error : new ProcbusError('usage', message);
      })
      .parseAsync();
  } catch (error) {
    if (!(error instanceof ProcbusError)) throw error;
    process.stderr.write(`procbus: ${error.message}\n`);
    const remedy = error.remedy ?? (error.code === 'usage' ? help(args) : undefined);
    if (remedy !== undefined) process.stderr.write(`procbus: ${remedy}\n`);
    process.exitCode = exitStatusOf(error.code);
  }
}

function help(args: readonly string[]): string {
  const command = commands.map((known) => String(known.command)).find((name) => name === args[0]);
  return `See procbus ${command === undefined ? '' : `${command} `}--help.`;
}
