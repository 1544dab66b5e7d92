/*
 * procbus ps: the processes there are, and those that have just ended.
 */
import type { CommandModule } from 'yargs';
import { filterHelp, readFilter, withFilter, withInclude } from './filter-options.ts';
import { helperHelp } from './open-bus.ts';
import { renderProcesses } from './process-table.ts';
import { outputStyle, runWithBus } from './run.ts';
import { scalarOption } from './scalar-option.ts';

interface PsArguments {
  readonly tree: boolean;
  readonly ended: boolean;
  readonly json: boolean;
  readonly socket: string | undefined;
}

export const psCommand: CommandModule<object, PsArguments> = {
  command: 'ps',
  describe: 'List processes, also those that have just ended',
  builder: (yargs) =>
    withFilter(withInclude(yargs))
      .option('tree', { type: 'boolean', default: false, describe: 'Draw who is whose child' })
      .option('ended', { type: 'boolean', default: false, describe: 'Those that have just ended, too' })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object a line' })
      .option('socket', scalarOption('The helper’s socket'))
      .example('$0 ps --tree --user anna', 'what anna runs, and what runs what')
      .example('$0 ps --exit failed', 'what has failed just now')
      .epilogue(
        `${filterHelp}\n${helperHelp}\n` +
          'Exit status: 0 done, 64 usage, 69 no helper to be had, 74 cannot write, 77 not permitted, 130 interrupted.',
      ),
  handler: async (args) => {
    process.exitCode = await ps(args);
  },
};

async function ps(args: PsArguments): Promise<number> {
  const filter = readFilter({ ...args });
  // Who asks how they ended cannot mean those that live.
  const ended = args.ended || filter.exit !== undefined;
  return runWithBus(args.socket, async ({ bus, output, signal }) => {
    const { processes } = await bus.list(filter, { ended, signal });
    const lines = args.json
      ? processes.map((process) => JSON.stringify(process))
      : renderProcesses(processes, { ...outputStyle(), tree: args.tree, include: filter.include });
    for (const line of lines) output.write(line);
  });
}
