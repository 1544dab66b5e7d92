/*
 * What other users notice while one user floods the helper.
 *
 * The flooder is another user without an account. It and its processes run at the lowest priority, as this is about
 * the helper and not about how the kernel shares CPUs between users.
 */
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, includes, type Bus, type HelperStats } from '@procbus/client';
import { compiledProgram, startHelper, start, until, type Running } from '../programs.ts';
import type { Scenario } from '../scenario.ts';

/** The kinds of floods that test/programs/flooder.c knows. */
const kinds = ['requests', 'filters', 'floodgates', 'halves', 'hoards', 'deaf', 'connect'] as const;
type Kind = (typeof kinds)[number];

/** How many connections each has where all have to share what one user may have; the rest is for `connect`. */
const shares: Partial<Record<Kind, number>> = {
  requests: 32,
  filters: 8,
  floodgates: 4,
  halves: 64,
  hoards: 64,
  deaf: 4,
};

/** A user who has no account. */
const flooder = 60_001;
/** How long each flood is looked at, in ms. */
const length = 20_000;

/** Times that something took, in ms. */
interface Times {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

interface Figures {
  readonly during: string;
  readonly connect: Times;
  readonly ping: Times;
  readonly event: Times;
  /** Events that were lost, and requests or connections that failed. */
  readonly lost: number;
  readonly failed: number;
  /** CPU that the helper took, in s per s, and its memory in MiB. */
  readonly cpu: number;
  readonly rss: number;
}

function timesOf(times: readonly number[]): Times {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** Nothing is waited for longer. */
async function tooLong(): Promise<never> {
  await delay(length, undefined, { ref: false });
  throw new Error('nothing happens');
}

/** Does something again and again, with a pause in between, and measures how long it takes. */
async function repeat(
  deed: () => Promise<unknown>,
  pause: number,
  end: number,
): Promise<{ times: number[]; failed: number }> {
  const times: number[] = [];
  let failed = 0;
  while (performance.now() < end) {
    const begun = performance.now();
    try {
      await Promise.race([deed(), tooLong()]);
    } catch {
      failed++;
    }
    times.push(performance.now() - begun);
    await delay(pause);
  }
  return { times, failed };
}

/** How late events come, from the kernel's timestamp to whoever reads them, and how many do not come at all. */
async function follow(bus: Bus, end: number): Promise<{ times: number[]; lost: number }> {
  const times: number[] = [];
  let lost = 0;
  const watch = bus.watch({ include: includes });
  setTimeout(() => void watch.return(), end - performance.now());
  for await (const event of watch) {
    if (event.type === 'lost') lost += Math.max(1, event.count);
    else times.push(Number(process.hrtime.bigint() - BigInt(event.kernelTime)) / 1e6);
  }
  return { times, lost };
}

async function statsOf(bus: Bus): Promise<NonNullable<HelperStats['helper']>> {
  const { helper } = await bus.stats();
  if (helper === undefined) throw new Error('the helper tells nothing of itself');
  return helper;
}

/** What somebody who is not flooding notices, for some time. */
async function measure(during: string, socket: string, bus: Bus): Promise<Figures> {
  const before = await statsOf(bus);
  const end = performance.now() + length;
  const hello = async (): Promise<void> => {
    await (await connect({ socket, reconnect: false })).close();
  };
  const [connections, pings, events] = await Promise.all([
    repeat(hello, 50, end),
    repeat(async () => bus.ping(), 20, end),
    follow(bus, end),
  ]);
  const after = await statsOf(bus);
  const cpu = after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system;
  return {
    during,
    connect: timesOf(connections.times),
    ping: timesOf(pings.times),
    event: timesOf(events.times),
    lost: events.lost,
    failed: connections.failed + pings.failed,
    cpu: cpu / (after.uptime - before.uptime),
    rss: after.memory.rss / 2 ** 20,
  };
}

/** Runs a command as the flooder. */
function startFlooding(...command: readonly string[]): Running {
  const user = [`--reuid=${flooder}`, `--regid=${flooder}`, '--clear-groups'];
  return start('setpriv', [...user, 'nice', '-n', '19', ...command]);
}

/** Processes with as many arguments as are kept, which are the most work for a pattern. */
const adversary = ['/bin/sh', '-c', 'while :; do /bin/true "$0"; sleep 0.01; done', 'a'.repeat(4000)];

async function flood(name: string, socket: string, bus: Bus, ...floods: string[][]): Promise<Figures> {
  const program = compiledProgram('test/programs/flooder.c');
  const running = [startFlooding(...adversary)];
  try {
    for (const flooding of floods) {
      running.push(startFlooding(program, socket, ...flooding));
      // One that opens as many connections as it can would leave none to those that come with it.
      await delay(1000);
    }
    await delay(2000);
    return await measure(name, socket, bus);
  } finally {
    await Promise.all(running.map(async (one) => one.stop()));
  }
}

/** What a flood of several kinds is started with. */
function shareOf(kind: Kind): string[] {
  const share = shares[kind];
  return share === undefined ? [kind] : [kind, String(share)];
}

function cells({ during, connect: hello, ping, event, lost, failed, cpu, rss }: Figures): string[] {
  const times = [hello, ping, event].flatMap(({ p50, p99, max }) => [p50, p99, max]);
  return [
    during,
    ...times.map((time) => time.toFixed(1)),
    String(lost),
    String(failed),
    `${(100 * cpu).toFixed(0)} %`,
    `${rss.toFixed(0)} MiB`,
  ];
}

/** The scenario `floods`. */
export const floods: Scenario = {
  name: 'floods',
  about: 'latency in ms for one user, p50, p99 and max, while another one floods the helper',
  run: async (progress) => {
    const config = join(tmpdir(), `procbus-floods-${process.pid}.toml`);
    writeFileSync(config, '[socket]\nmode = "0666"\n[[grant]]\neveryone = true\n');
    const helper = await startHelper('--config', config);
    chmodSync(dirname(helper.socket), 0o755);
    const load = start('/bin/sh', ['-c', 'while :; do /bin/true; sleep 0.02; done']);
    const { socket } = helper;
    const bus = await connect({ socket });
    try {
      const figures: Figures[] = [];
      const add = (row: Figures): void => {
        figures.push(row);
        progress(cells(row).join('  '));
      };
      add(await measure('before', socket, bus));
      for (const kind of kinds) add(await flood(kind, socket, bus, [kind]));
      add(await flood('all at once', socket, bus, ...kinds.map(shareOf)));

      const remains = async (): Promise<boolean> =>
        (await statsOf(bus)).clients.some(({ uid }) => uid === flooder);
      await until('the flooder to be gone', async () => !(await remains()));
      add(await measure('after', socket, bus));
      const floodsOnly = figures.slice(1, -1);
      return {
        columns: [
          'during',
          ...['connect', 'ping', 'event'].flatMap((what) => [what, 'p99', 'max']),
          'lost',
          'failed',
          'CPU',
          'RSS',
        ],
        rows: figures.map(cells),
        targets: [
          { what: 'events: p99 of 50 ms at most', met: floodsOnly.every(({ event }) => event.p99 <= 50) },
          {
            what: 'connections: p99 of 100 ms at most',
            met: floodsOnly.every(({ connect: { p99 } }) => p99 <= 100),
          },
          {
            what: 'nothing is lost, and nothing fails',
            met: figures.every(({ lost, failed }) => lost + failed === 0),
          },
          { what: 'afterwards the flooder is charged with nothing', met: !(await remains()) },
        ],
        figures,
      };
    } finally {
      await bus.close();
      await load.stop();
      await helper.stop();
      rmSync(config);
    }
  },
};
