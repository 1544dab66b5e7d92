/*
 * procbus watch: events as they happen, or have happened, one line each.
 */
import {
  defaultMaxDelay,
  exitStatusOf,
  longestMaxDelay,
  ProcbusError,
  type Include,
  type LostEvent,
} from '@procbus/protocol';
import type { CommandModule } from 'yargs';
import type { ConnectionChange } from '../link.ts';
import type { CursorFile } from './cursor-file.ts';
import { CursorKeeper } from './cursor-keeper.ts';
import { parseDuration } from './duration.ts';
import { filterHelp, readFilter, withEventFilter } from './filter-options.ts';
import { helperHelp } from './open-bus.ts';
import { renderLine } from './render.ts';
import { outputStyle, runWithBus } from './run.ts';
import { scalarOption } from './scalar-option.ts';
import { parseSince } from './since.ts';

interface WatchArguments {
  readonly threads: boolean;
  readonly json: boolean;
  readonly count: string | undefined;
  readonly duration: string | undefined;
  readonly since: string | undefined;
  readonly 'cursor-file': string | undefined;
  readonly 'show-cursor': boolean;
  readonly 'max-delay': string | undefined;
  readonly socket: string | undefined;
}

const sinceHelp =
  'A cursor is a place in the stream of events; how far back one may lie depends on the helper’s journal. The cursor in a file counts before --since. ' +
  'Where the journal no longer reaches back to it, events are told as lost; to a cursor of --since, that is an error.\n';

export const watchCommand: CommandModule<object, WatchArguments> = {
  command: 'watch',
  describe: 'Show what processes do, as it happens',
  builder: (yargs) =>
    withEventFilter(yargs)
      .option('threads', { type: 'boolean', default: false, describe: 'Single threads too' })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object a line' })
      .option('count', scalarOption('Stop after so many events'))
      .option('duration', scalarOption('Stop after this time, as in 10s or 5m'))
      .option('since', {
        ...scalarOption('Begin in the past: behind a cursor, so long ago (30s), or at a time (10:15)'),
        group: 'Past:',
      })
      .option('cursor-file', {
        ...scalarOption('Begin behind the cursor in a file, if it has one, and keep it up to date'),
        group: 'Past:',
      })
      .option('show-cursor', {
        type: 'boolean',
        default: false,
        describe: 'Print the cursor at the end',
        group: 'Past:',
      })
      .option(
        'max-delay',
        scalarOption(`Tell an event after this time at the latest; ${defaultMaxDelay}ms otherwise`),
      )
      .option('socket', scalarOption('The helper’s socket'))
      .example('$0 watch --events exec,exit', 'what begins and what ends')
      .example('$0 watch --subtree $$ --exit failed', 'what fails below this shell')
      .example('$0 watch --json --duration 1m > events.jsonl', 'a minute to look at later')
      .example('$0 watch --since 5m --events exec', 'what was run lately')
      .example('$0 watch --json --cursor-file at >> events.jsonl', 'goes on where it has ended')
      .epilogue(
        `${filterHelp}\n${sinceHelp}\n${helperHelp} When the helper has gone it connects again, and goes on where it was.\n` +
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
  const delay = args['max-delay'];
  const maxDelay = delay === undefined ? undefined : parseDelay(delay);
  const asked = args.since === undefined ? undefined : parseSince('--since', args.since);
  const path = args['cursor-file'];
  const file = path === undefined ? undefined : await openCursorFile(path);
  const since = file?.cursor ?? asked;
  // Lines for people show commands, whatever else is asked for.
  const include: readonly Include[] | undefined = args.json
    ? filter.include
    : [...new Set<Include>(['args', ...(filter.include ?? [])])];
  let keeper: CursorKeeper | undefined;

  const status = await runWithBus(
    args.socket,
    async ({ bus, helper, output, signal, stop }) => {
      const stream = bus.watch({
        ...filter,
        include,
        threads: args.threads,
        signal,
        since,
        // Nobody is there to be asked where else to begin.
        onGone: file?.cursor === undefined ? 'throw' : 'lost',
        maxDelay,
        onResume: tellResumed,
      });
      await stream.ready;
      const begun = stream.cursor;
      /** Behind the last line that has been written. */
      const cursor = (): string | undefined => (output.isIdle ? stream.cursor : (output.written ?? begun));
      if (file !== undefined) keeper = new CursorKeeper(file, cursor);
      await keeper?.start();
      const what = (filter.events ?? ['all events']).join(', ');
      process.stderr.write(`procbus: watching (${what}; ${helper})\n`);
      const timer = duration === undefined ? undefined : setTimeout(() => stop(0), duration);
      try {
        let left = count;
        for await (const event of stream) {
          const line = args.json
            ? JSON.stringify(event)
            : renderLine(event, { ...outputStyle(), threads: args.threads });
          output.write(line, stream.cursor);
          if (--left <= 0) break;
        }
      } finally {
        clearTimeout(timer);
        await output.finish();
        await keeper?.end();
        if (args['show-cursor']) process.stderr.write(`-- cursor: ${cursor()}\n`);
      }
    },
    tellGone,
  );
  return keeper?.isBehind === true ? exitStatusOf('output') : status;
}

/** Seldom needed, and node:crypto comes with it. */
async function openCursorFile(path: string): Promise<CursorFile> {
  const { CursorFile: File } = await import('./cursor-file.ts');
  return File.open(path);
}

/** Says once that the helper has gone. */
function tellGone(change: ConnectionChange): void {
  if (change.connected || change.attempt > 1) return;
  const why = change.error.code === 'disconnected' ? 'without a word' : change.error.message;
  process.stderr.write(`procbus: the helper has gone (${why}); connecting again\n`);
}

function tellResumed(lost: LostEvent | undefined): void {
  const how = lost === undefined ? 'resumed where it was' : 'cannot resume where it was, so events are lost';
  process.stderr.write(`procbus: connected again; ${how}\n`);
}

/** Zero is a delay, too. */
function parseDelay(text: string): number {
  return /^0+m?s$/.test(text) ? 0 : parseDuration('--max-delay', text, longestMaxDelay);
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new ProcbusError('usage', `--count ${text}: not a number of events, such as 10`);
}

/** The longest time a timer of Node takes, in ms: not quite 25 days. */
const longestDuration = 2 ** 31 - 1;
