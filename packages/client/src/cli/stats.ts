/*
 * procbus stats: how the helper is doing.
 */
import { ProcbusError } from '@procbus/protocol';
import type { CommandModule } from 'yargs';
import { pause } from '../backoff.ts';
import type { Bus } from '../bus.ts';
import { socketPath } from '../connect.ts';
import type { ConnectionChange } from '../link.ts';
import type { HelperStats } from '../stats.ts';
import { parseDuration } from './duration.ts';
import { renderCells, type LineStyle } from './line.ts';
import { printable } from './printable.ts';
import { renderPrometheus } from './prometheus.ts';
import { outputStyle, runWithBus, type Run } from './run.ts';
import { scalarOption } from './scalar-option.ts';
import { Screen } from './screen.ts';
import { renderStats, type StatsContext } from './stats-table.ts';

interface StatsArguments {
  readonly json: boolean;
  readonly prometheus: boolean;
  readonly watch: boolean;
  readonly interval: string | undefined;
  readonly socket: string | undefined;
}

export const statsCommand: CommandModule<object, StatsArguments> = {
  command: 'stats',
  describe: 'Show how the helper is doing, and its clients',
  builder: (yargs) =>
    yargs
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object a line' })
      .option('prometheus', {
        type: 'boolean',
        default: false,
        describe: 'Prometheus’ text format',
      })
      .option('watch', { type: 'boolean', default: false, describe: 'Again and again, with rates' })
      .option('interval', scalarOption('The same, so often, as in 10s; every 2s otherwise'))
      .option('socket', scalarOption('The helper’s socket'))
      .example('$0 stats --watch', 'what the helper does now, and who is slow')
      .example('$0 stats --json | jq .helper.lost', 'whether events have been lost')
      .example('$0 stats --prometheus > procbus.prom', 'for the text files of a node exporter')
      .epilogue(
        'Root, and whose grant allows it, sees all; others see their own connection.\n\n' +
          'Without --socket it connects to $PROCBUS_SOCKET or /run/procbus/procbus.sock.\n' +
          'Exit status: 0 done, 64 usage, 69 no helper to be had, 74 cannot write, 77 not permitted, 130 interrupted.',
      ),
  handler: async (args) => {
    process.exitCode = await runStats(args);
  },
};

/** Makes lines of figures. */
type Render = (stats: HelperStats, context: StatsContext) => string[];

async function runStats(args: StatsArguments): Promise<number> {
  if (args.json && args.prometheus) {
    throw new ProcbusError('usage', '--json and --prometheus: only one of them');
  }
  const interval = parseInterval(args.interval ?? '2s');
  const again = args.watch || args.interval !== undefined;
  const forPeople = !args.json && !args.prometheus;
  const { stdout } = process;
  const inPlace = again && forPeople && stdout.isTTY && process.env['TERM'] !== 'dumb';

  const render = rendererOf(args, inPlace);
  const screen = inPlace ? new Screen(stdout) : undefined;
  let draw: (() => string[]) | undefined;
  const onConnection = (change: ConnectionChange): void => {
    const news = newsOf(change);
    if (news === undefined) return;
    if (screen === undefined) process.stderr.write(`procbus: ${news}\n`);
    else screen.show(() => [noticeLine(news, screenStyle()), '', ...(draw?.() ?? [])]);
  };

  const work = async ({ bus, output, signal }: Run): Promise<void> => {
    let before: HelperStats | undefined;
    for (;;) {
      const now = before === undefined ? await bus.stats({ signal }) : await askAgain(bus, signal);
      const context = { software: bus.hello.software, before };
      draw = () => render(now, context);
      if (screen === undefined) {
        if (before !== undefined && !args.json) output.write('');
        for (const line of draw()) output.write(line);
      } else {
        screen.show(draw);
      }
      if (!again) return;
      before = now;
      await pause(interval, signal);
    }
  };

  try {
    // The path is always given: a private helper would have nothing to tell.
    return await runWithBus(args.socket ?? socketPath(), work, again ? onConnection : undefined);
  } finally {
    screen?.close();
  }
}

/** What there is to say of a connection, once for each time that it is lost. */
function newsOf(change: ConnectionChange): string | undefined {
  if (change.connected || change.attempt > 1) return undefined;
  const why = change.error.code === 'disconnected' ? 'without a word' : change.error.message;
  return `the helper has gone (${why}); connecting again`;
}

function noticeLine(text: string, style: LineStyle): string {
  return renderCells([{ text: printable(text), colour: 'red' }], style);
}

/** Asks a helper that has answered before, and that may have been started again meanwhile. */
async function askAgain(bus: Bus, signal: AbortSignal): Promise<HelperStats> {
  try {
    return await bus.stats({ signal });
  } catch (error) {
    // The connection took the question with it; the next one waits for another connection.
    if (error instanceof ProcbusError && error.code === 'disconnected') return bus.stats({ signal });
    throw error;
  }
}

function rendererOf(args: StatsArguments, inPlace: boolean): Render {
  if (args.json) return (stats) => [JSON.stringify(stats)];
  if (args.prometheus) return (stats, { software }) => renderPrometheus(stats, software);
  const style = inPlace ? screenStyle : outputStyle;
  return (stats, context) => renderStats(stats, context, style());
}

/** A line that ends in the last column could not be cleared behind its end. */
function screenStyle(): LineStyle {
  const { colour, width } = outputStyle();
  return { colour, width: width === undefined ? undefined : width - 1 };
}

/** The shortest interval, in ms: a helper has better to do. */
const shortest = 100;
/** The longest time a timer of Node takes, in ms. */
const longest = 2 ** 31 - 1;

function parseInterval(text: string): number {
  const interval = parseDuration('--interval', text, longest);
  if (interval >= shortest) return interval;
  throw new ProcbusError('usage', `--interval ${text}: not less than ${shortest}ms`);
}
