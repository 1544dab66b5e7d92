/*
 * procbus completion: a script by which a shell completes procbus.
 *
 * The script knows everything beforehand, from the same tables that the commands are read by: to start Node at each
 * press of the tab key, as yargs would, takes a third of a second.
 */
import { eventTypes, includes } from '@procbus/protocol';
import type { CommandModule } from 'yargs';
import { optionTable, type Command } from './command.ts';
import { scripts, type CompletedCommand, type Shell, type Values } from './completion-scripts.ts';

interface CompletionArguments {
  readonly shell: Shell;
}

const shells: readonly Shell[] = ['bash', 'zsh', 'fish'];

/** What the values of options may be, and those of their opposites; of all others there is nothing to offer. */
const values: Readonly<Record<string, Values>> = {
  events: { oneOf: eventTypes },
  include: { oneOf: includes },
  exit: { oneOf: ['failed', 'signaled'] },
  container: { oneOf: ['any', 'none'] },
  pid: 'pids',
  subtree: 'pids',
  user: 'users',
  exe: 'files',
  'cursor-file': 'files',
  socket: 'files',
};

/** The command, for a command line that has these others. */
export function completionCommand(others: readonly Command[]): CommandModule<object, CompletionArguments> {
  const command: CommandModule<object, CompletionArguments> = {
    command: 'completion <shell>',
    describe: 'Print a script that completes procbus in your shell',
    builder: (yargs) =>
      yargs
        .positional('shell', { choices: shells, demandOption: true, describe: 'Which one' })
        .example('source <($0 completion bash)', 'for this session; or a line for ~/.bashrc')
        .example('source <($0 completion zsh)', 'the same, for ~/.zshrc')
        .example('$0 completion fish | source', 'for ~/.config/fish/config.fish'),
    handler: ({ shell }) => {
      process.stdout.write(scripts[shell]([...others, command].map(completed)));
    },
  };
  return command;
}

/** A command by its tables. */
function completed(command: Command): CompletedCommand {
  const [name = ''] = String(command.command).split(' ');
  const { options, operands } = optionTable(command);
  return {
    name,
    describe: String(command.describe),
    operands: [...operands.values()].flatMap(({ choices = [] }) => choices.map(String)),
    options: [
      { name: 'help', describe: 'Show help', repeats: false },
      ...[...options].map(([key, { type, array, describe: what = '', hidden }]) => ({
        name: key,
        describe: hidden === true ? `The opposite of ${key.replace('not-', '--')}` : what,
        values: type === 'boolean' ? undefined : (values[key.replace(/^not-/, '')] ?? 'others'),
        repeats: array === true,
      })),
    ],
  };
}
