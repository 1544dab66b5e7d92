/*
 * All commands in one command line of yargs, which has help, and words for what is wrong.
 */
import { ProcbusError } from '@procbus/protocol';
import yargs, { type Argv, type CommandModule } from 'yargs';
import { version } from '../version.ts';
import type { Command } from './command.ts';
import { completionCommand } from './completion.ts';
import { parserConfiguration } from './plain-arguments.ts';

/**
 * The command line, to be parsed. What is wrong with it is thrown, as a ProcbusError `usage`.
 *
 * @param commands - all but that which completes them
 */
export function fullCommandLine(args: readonly string[], commands: readonly Command[]): Argv {
  const line = yargs(args)
    .scriptName('procbus')
    .usage('$0 <command>\n\nWhat the processes of this machine do, as it happens.');
  for (const command of commands) line.command(command as CommandModule);
  return line
    .command(completionCommand(commands))
    .demandCommand(1, 'Which command?')
    .strict()
    .parserConfiguration(parserConfiguration)
    .version(version)
    .fail((message: string | null, error: Error | undefined) => {
      // yargs gives its own complaints as a message, with or without an error of its own.
      throw error instanceof ProcbusError || message === null ? error : new ProcbusError('usage', message);
    });
}
