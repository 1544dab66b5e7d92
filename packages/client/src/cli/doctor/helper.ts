/*
 * The helper: whether it answers, in what version, and what it grants.
 */
import { eventTypes, ProcbusError, type Grant, type HelperHello } from '@procbus/protocol';
import { connect } from '../../connect.ts';
import { startEmbedded } from '../../embedded.ts';
import type { HelperStats } from '../../stats.ts';
import { formatDuration } from '../duration.ts';
import type { Check } from './check.ts';

/** What a helper has answered. */
export interface Answer {
  readonly hello: HelperHello;
  /** How long its hello took, in s. */
  readonly seconds: number;
  /** Its figures, or why it did not tell any. */
  readonly stats: HelperStats | ProcbusError;
}

/** How long it may take to tell its figures, in ms. */
const deadline = 10_000;

/** Connects and asks; returns the error where that fails. */
export async function ask(socket: string, signal: AbortSignal): Promise<Answer | ProcbusError> {
  const before = performance.now();
  try {
    await using bus = await connect({ socket, signal, reconnect: false });
    const seconds = (performance.now() - before) / 1000;
    const patience = AbortSignal.timeout(deadline);
    try {
      const stats = await bus.stats({ signal: AbortSignal.any([signal, patience]) });
      return { hello: bus.hello, seconds, stats };
    } catch (error) {
      const why = patience.aborted
        ? new ProcbusError('no-helper', `it has not told its figures within ${deadline / 1000} seconds`)
        : error;
      return { hello: bus.hello, seconds, stats: errorFrom(why, signal) };
    }
  } catch (error) {
    return errorFrom(error, signal);
  }
}

function errorFrom(error: unknown, signal: AbortSignal): ProcbusError {
  signal.throwIfAborted();
  // How it was called is nothing to examine.
  if (error instanceof ProcbusError && error.code !== 'usage') return error;
  throw error;
}

/** Whether the helper lets us in. */
export function checkConnection(answer: Answer | ProcbusError): Check {
  const name = 'connection';
  if (answer instanceof ProcbusError) {
    const { message, remedy } = answer;
    return { name, status: 'fail', what: message, ...(remedy === undefined ? {} : { remedy }) };
  }
  const { hello, seconds, stats } = answer;
  const what = `${hello.software} answered within ${formatDuration(seconds)}`;
  if (!(stats instanceof ProcbusError)) return { name, status: 'ok', what };
  return { name, status: 'fail', what: `${what}, but then: ${stats.message}`, remedy: howToRestart };
}

const howToRestart =
  'See what it does: journalctl -u procbus; or have it begin anew: systemctl restart procbus';

/**
 * Whether the helper is of our version: the third number does not matter.
 *
 * @param client - our own version
 */
export function checkVersion(software: string, client: string): Check {
  const name = 'version';
  const helper = /^procbusd\/(.*)$/.exec(software)?.[1];
  const [theirs, ours] = [parseVersion(helper), parseVersion(client)];
  if (theirs === undefined || ours === undefined) {
    return { name, status: 'skip', what: `the helper calls itself ${software}, which tells no version` };
  }
  const newer = theirs[0] - ours[0] || theirs[1] - ours[1];
  if (newer === 0) {
    return { name, status: 'ok', what: `procbusd ${helper} and procbus ${client} go together` };
  }
  return {
    name,
    status: 'warn',
    what: `procbusd ${helper} is ${newer > 0 ? 'newer' : 'older'} than procbus ${client}`,
    remedy:
      newer > 0
        ? `Upgrade procbus to ${helper}.`
        : `Upgrade procbusd to ${client}; if it is, have it start again: systemctl restart procbus`,
  };
}

function parseVersion(text: string | undefined): [major: number, minor: number] | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)(?:\.|$)/.exec(text ?? '') ?? [];
  return major === undefined || minor === undefined ? undefined : [Number(major), Number(minor)];
}

const details: Readonly<Record<Grant['detail'], string>> = {
  ids: 'ids alone',
  names: 'names and programs, but no arguments',
  args: 'names, programs and arguments',
};

/** What the helper lets us see. */
export function checkGrant({ scope, detail, events }: Grant): Check {
  const name = 'grant';
  const whose = scope === 'all' ? 'the processes of all users' : 'your own processes';
  const told = `${whose}, ${details[detail]}`;
  if (events.length === 0) {
    return {
      name,
      status: 'warn',
      what: `${told}; no events, so that watch shows none`,
      remedy: 'Ask an administrator for events in your [[grant]] of /etc/procbus/procbusd.toml.',
    };
  }
  const types = eventTypes.every((type) => events.includes(type)) ? 'all events' : events.join(', ');
  return { name, status: 'ok', what: `${told}; ${types}` };
}

/** The name of the check of a private helper. */
const privateName = 'private-helper';

/** Starts a helper of our own, which hears the kernel or says why not. */
export async function tryPrivate(signal: AbortSignal): Promise<Check> {
  try {
    await using bus = await startEmbedded(signal);
    await bus.ping({ signal });
    return { name: privateName, status: 'ok', what: 'one that was started for a test hears the kernel' };
  } catch (error) {
    const { message, remedy } = errorFrom(error, signal);
    return {
      name: privateName,
      status: 'fail',
      what: `none can run here: ${message}`,
      ...(remedy === undefined ? {} : { remedy }),
    };
  }
}
