/*
 * procbus doctor: what is right, what is not, and what would help.
 */
import type { CommandModule } from 'yargs';
import { version } from '../version.ts';
import { verdictOf } from './doctor/check.ts';
import { examine } from './doctor/examine.ts';
import { renderReport } from './doctor/report.ts';
import { outputStyle, runCommand } from './run.ts';
import { scalarOption } from './scalar-option.ts';

interface DoctorArguments {
  readonly json: boolean;
  readonly socket: string | undefined;
}

export const doctorCommand: CommandModule<object, DoctorArguments> = {
  command: 'doctor',
  describe: 'Check what procbus needs, and say what would help',
  builder: (yargs) =>
    yargs
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object with all checks' })
      .option('socket', scalarOption('The helper’s socket'))
      .example('$0 doctor', 'why does it not work?')
      .example('sudo $0 doctor', 'the same with all figures of the helper')
      .example('$0 doctor --json | jq \'.checks[] | select(.status == "fail")\'', 'for a script')
      .epilogue(
        'ok is as it should be, warn works and could be better, fail does not work, skip cannot be told or does not matter.\n' +
          'It asks the helper at --socket, $PROCBUS_SOCKET or /run/procbus/procbus.sock; where nobody listens, it tries a private helper, as other commands do.\n' +
          'Exit status: 0 nothing fails, 1 something does, 64 usage, 74 cannot write, 130 interrupted.',
      ),
  handler: async (args) => {
    process.exitCode = await doctor(args);
  },
};

async function doctor(args: DoctorArguments): Promise<number> {
  return runCommand(async ({ output, signal }) => {
    const { socket, checks } = await examine(args.socket, signal);
    const verdict = verdictOf(checks);
    const lines = args.json
      ? [JSON.stringify({ verdict, version, socket, checks })]
      : renderReport(checks, outputStyle());
    for (const line of lines) output.write(line);
    return verdict === 'fail' ? 1 : 0;
  });
}
