/*
 * procbus watch: events as they happen, one line each.
 */
import ms from 'ms';
import { eventTypes, parseFilter, ProcbusError, type EventType } from '@procbus/protocol';
import type { CommandModule } from 'yargs';
import { LineWriter } from './line-writer.ts';
import { openBus } from './open-bus.ts';
import { renderLine } from './render.ts';
import { signalStatus } from './signals.ts';

interface WatchArguments {
  readonly events: string | undefined;
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
    yargs
      .option('events', {
        type: 'string',
        requiresArg: true,
        describe: `Only these: ${eventTypes.join(',')}`,
      })
      .option('threads', { type: 'boolean', default: false, describe: 'Single threads too' })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object a line' })
      .option('count', { type: 'string', requiresArg: true, describe: 'Stop after so many events' })
      .option('duration', {
        type: 'string',
        requiresArg: true,
        describe: 'Stop after this time, as in 10s or 5m',
      })
      .option('socket', { type: 'string', requiresArg: true, describe: 'The helper’s socket' })
      .example('$0 watch --events exec,exit', 'what begins and what ends')
      .example('$0 watch --json --duration 1m > events.jsonl', 'a minute to look at later')
      .epilogue(
        'Without --socket it connects to $PROCBUS_SOCKET or /run/procbus/procbus.sock, and where there is none it starts a private helper.\n' +
          'Exit status: 0 done, 64 usage, 69 no events to be had, 74 cannot write, 77 not permitted, 130 interrupted.',
      ),
  handler: async (args) => {
    process.exitCode = await watch(args);
  },
};

async function watch(args: WatchArguments): Promise<number> {
  const events = args.events === undefined ? undefined : parseEvents(args.events);
  const count = args.count === undefined ? Infinity : parseCount(args.count);
  const duration = args.duration === undefined ? undefined : parseDuration(args.duration);

  // Whatever ends the watch aborts this; the reason is the exit status, or the error to report.
  const ending = new AbortController();
  const stop = (reason: number | ProcbusError): void => ending.abort(reason);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => stop(signalStatus(signal)));
  }
  // Whoever closes the pipe has seen enough.
  const output = new LineWriter(process.stdout, (error) =>
    stop(error.code === 'EPIPE' ? 0 : outputError(error)),
  );
  const style = { colour: process.stdout.isTTY && process.stdout.hasColors(), threads: args.threads };

  try {
    const { bus, helper } = await openBus(args.socket, ending.signal);
    try {
      const stream = bus.watch({ events, threads: args.threads, signal: ending.signal });
      await stream.ready;
      process.stderr.write(`procbus: watching (${(events ?? ['all events']).join(', ')}; ${helper})\n`);
      const timer = duration === undefined ? undefined : setTimeout(() => stop(0), duration);
      try {
        let left = count;
        for await (const event of stream) {
          output.write(args.json ? JSON.stringify(event) : renderLine(event, style));
          if (--left <= 0) break;
        }
        return 0;
      } finally {
        clearTimeout(timer);
        output.flush();
      }
    } finally {
      await bus.close();
    }
  } catch (error) {
    // An aborted signal throws its reason.
    if (typeof error === 'number') return error;
    throw error;
  }
}

function parseEvents(list: string): EventType[] {
  const events = list.split(',').map((item) => item.trim()) as EventType[];
  parseFilter({ events }); // It names a wrong one, before a helper is looked for or started.
  return events;
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw usage(`--count ${text}: not a number of events, such as 10`);
}

/** The longest time a timer of Node takes, in ms: not quite 25 days. */
const longestDuration = 2 ** 31 - 1;

function parseDuration(text: string): number {
  const duration = /^[0-9.]+(ms|s|m|h|d)$/.test(text) ? ms(text as ms.StringValue) : Number.NaN;
  if (duration > 0 && duration <= longestDuration) return duration;
  throw usage(`--duration ${text}: not a time up to 24 days, such as 500ms, 10s, 5m or 2h`);
}

function outputError(cause: NodeJS.ErrnoException): ProcbusError {
  return new ProcbusError('output', `cannot write: ${cause.message}`, { cause });
}

function usage(message: string): ProcbusError {
  return new ProcbusError('usage', message, { remedy: 'See procbus watch --help.' });
}
