/*
 * procbus watch: events as they happen, one line each.
 */
import { ProcbusError, type Include } from '@procbus/protocol';
import type { CommandModule } from 'yargs';
import { parseDuration } from './duration.ts';
import { filterHelp, readFilter, withEventFilter } from './filter-options.ts';
import { helperHelp } from './open-bus.ts';
import { renderLine } from './render.ts';
import { outputStyle, runWithBus } from './run.ts';
import { scalarOption } from './scalar-option.ts';

interface WatchArguments {
  readonly threads: boolean;
  readonly json: boolean;
  readonly count: string | undefined;
  readonly duration: string | undefined;
  readonly socket: string | undefined;
}

export const watchCommand: CommandModule<object, WatchArguments> = {
  command: 'watch',
  describe: 'Show what processes do, as it happens',
  builder: (yargs) =>
    withEventFilter(yargs)
      .option('threads', { type: 'boolean', default: false, describe: 'Single threads too' })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object a line' })
      .option('count', scalarOption('Stop after so many events'))
      .option('duration', scalarOption('Stop after this time, as in 10s or 5m'))
      .option('socket', scalarOption('The helper’s socket'))
      .example('$0 watch --events exec,exit', 'what begins and what ends')
      .example('$0 watch --subtree $$ --exit failed', 'what fails below this shell')
      .example('$0 watch --json --duration 1m > events.jsonl', 'a minute to look at later')
      .epilogue(
        `${filterHelp}\n${helperHelp}\n` +
          'Exit status: 0 done, 64 usage, 69 no events to be had, 74 cannot write, 77 not permitted, 130 interrupted.',
      ),
  handler: async (args) => {
    process.exitCode = await watch(args);
  },
};

async function watch(args: WatchArguments): Promise<number> {
  const filter = readFilter({ ...args });
  const count = args.count === undefined ? Infinity : parseCount(args.count);
  const duration =
    args.duration === undefined ? undefined : parseDuration('--duration', args.duration, longestDuration);
  // Lines for people show commands, whatever else is asked for.
  const include: readonly Include[] | undefined = args.json
    ? filter.include
    : [...new Set<Include>(['args', ...(filter.include ?? [])])];

  return runWithBus(args.socket, async ({ bus, helper, output, signal, stop }) => {
    const stream = bus.watch({ ...filter, include, threads: args.threads, signal });
    await stream.ready;
    const what = (filter.events ?? ['all events']).join(', ');
    process.stderr.write(`procbus: watching (${what}; ${helper})\n`);
    const timer = duration === undefined ? undefined : setTimeout(() => stop(0), duration);
    try {
      let left = count;
      for await (const event of stream) {
        const line = args.json
          ? JSON.stringify(event)
          : renderLine(event, { ...outputStyle(), threads: args.threads });
        output.write(line);
        if (--left <= 0) break;
      }
    } finally {
      clearTimeout(timer);
    }
  });
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new ProcbusError('usage', `--count ${text}: not a number of events, such as 10`);
}

/** The longest time a timer of Node takes, in ms: not quite 25 days. */
const longestDuration = 2 ** 31 - 1;
