/*
 * procbus: the command line. A command is loaded when it is asked for, and yargs when a command line needs it.
 */
import { exitStatusOf, ProcbusError } from '@procbus/protocol';
import type { Command } from './command.ts';
import { plainArguments } from './plain-arguments.ts';

/** What loads each command, by its name. That which completes them is not here: it needs them all. */
export const commands: ReadonlyMap<string, () => Promise<Command>> = new Map<string, () => Promise<Command>>([
  ['watch', async () => (await import('./watch.ts')).watchCommand],
  ['ps', async () => (await import('./ps.ts')).psCommand],
  ['stats', async () => (await import('./stats.ts')).statsCommand],
  ['doctor', async () => (await import('./doctor.ts')).doctorCommand],
]);

/** Runs one command; the exit status is left in `process.exitCode`. */
export async function main(args: readonly string[]): Promise<void> {
  // A command whose stderr is gone goes on.
  process.stderr.on('error', () => undefined);
  try {
    await run(args);
  } catch (error) {
    if (!(error instanceof ProcbusError)) throw error;
    process.stderr.write(`procbus: ${error.message}\n`);
    const remedy = error.remedy ?? (error.code === 'usage' ? help(args) : undefined);
    if (remedy !== undefined) process.stderr.write(`procbus: ${remedy}\n`);
    process.exitCode = exitStatusOf(error.code);
  }
}

async function run(args: readonly string[]): Promise<void> {
  const [name = '', ...others] = args;
  const command = await commands.get(name)?.();
  const plain = command === undefined ? undefined : plainArguments(command, others);
  if (command !== undefined && plain !== undefined) {
    await command.handler(plain as never);
  } else {
    const { fullCommandLine } = await import('./full-command-line.ts');
    const all = await Promise.all([...commands.values()].map(async (load) => load()));
    await fullCommandLine(args, all).parseAsync();
  }
}

function help([name = '']: readonly string[]): string {
  return `See procbus ${commands.has(name) ? `${name} ` : ''}--help.`;
}
