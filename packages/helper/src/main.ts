/*
 * procbusd: the data path, wired.
 *
 *   Connector → KernelStream → ProcessTable (ExecReader, Reconciler) → Broadcast → Server (Session, Outbox)
 *   → the clients
 */
import { readFileSync, writeSync } from 'node:fs';
import { defaultSocketPath, exitStatusOf, helperMessage, packFrame, ProcbusError } from '@procbus/protocol';
import { Broadcast } from './bus/broadcast.ts';
import { Connector } from './kernel/connector.ts';
import { KernelStream } from './kernel/kernel-stream.ts';
import { log, logLoss } from './log.ts';
import { parseOptions, version, type Options } from './options.ts';
import { clockOffset, monotonicTime } from './libc.ts';
import { ExecReader } from './processes/exec-reader.ts';
import { procOf } from './processes/proc.ts';
import { Reconciler } from './processes/reconciler.ts';
import { ProcessTable } from './processes/process-table.ts';
import { Server } from './peers/server.ts';
import { claimSocket } from './peers/socket-path.ts';
import { helperStats } from './stats.ts';
import { inheritedSocket, notify } from './systemd.ts';

/** Runs the helper until it is told to stop; returns the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(args);
    await run(options, stopSignal(options));
    return 0;
  } catch (error) {
    if (!(error instanceof ProcbusError)) throw error;
    log(error.message);
    if (error.remedy !== undefined) log(error.remedy);
    return exitStatusOf(error.code);
  }
}

async function run(options: Options, stopped: Promise<string>): Promise<void> {
  const connector = openConnector(options);
  const reader = new ExecReader();
  const proc = procOf(reader);
  const table = new ProcessTable(proc);
  const broadcast = new Broadcast({
    table,
    setInterest: (interest) => {
      connector.setInterest(interest);
      void reader.start();
    },
    catchUp: () => {
      stream.catchUp();
      reconciler.lookIfDue();
    },
  });
  const stream = new KernelStream(connector, (batch) => {
    broadcast.publish({ ...batch, events: table.follow(batch.events) });
    if (batch.lost !== 0) reconciler.schedule();
    logLoss(batch.lost);
  });
  const reconciler = new Reconciler(
    table,
    proc,
    () => stream.catchUp(),
    (events) =>
      broadcast.publish({ events, lost: 0, kernelTime: monotonicTime(), clockOffset: clockOffset() }),
  );
  // Events first, then who lives already: so nobody is missed in between.
  connector.setInterest(broadcast.interest);
  table.scan();
  const server = new Server({
    broadcast,
    software: `procbusd/${version}`,
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    stats: () => helperStats({ connector, reader, table, broadcast, server }),
  });

  try {
    if (options.connection !== undefined) {
      await Promise.race([server.serve(options.connection), stopped]);
    } else {
      await reader.start();
      await serveSocket(options, server, connector, stopped);
    }
  } finally {
    reconciler.close();
    stream.close();
    await reader.close();
    await server.close(new ProcbusError('stopping', 'procbusd is stopping'));
    connector.close();
  }
}

/** Serves all who connect, on the socket that systemd hands over or on one of our own. */
async function serveSocket(
  options: Options,
  server: Server,
  connector: Connector,
  stopped: Promise<string>,
): Promise<void> {
  const inherited = inheritedSocket(process.env);
  if (inherited !== undefined && options.socket !== undefined) {
    throw new ProcbusError('usage', 'a socket was handed over, so --socket has no meaning', {
      remedy: 'Leave --socket out, or start procbusd without socket activation.',
    });
  }
  const path = options.socket ?? defaultSocketPath;
  const claimed = inherited === undefined ? await claimSocket({ ...options, path }) : undefined;
  try {
    await server.listen(claimed?.fd ?? (inherited as number));
    const where = claimed === undefined ? 'the socket handed over' : path;
    const { receiveBuffer } = connector;
    const buffer = receiveBuffer < 2 ** 20 ? `${receiveBuffer} bytes` : `${receiveBuffer / 2 ** 20} MiB`;
    log(`${version} listening at ${where}; the kernel may queue ${buffer} of events`);
    notify(process.env, 'READY=1');
    log(`stopping on ${await stopped}`);
    notify(process.env, 'STOPPING=1');
  } finally {
    claimed?.release();
  }
}

/** Opens the connector; a private helper tells its one client why it could not. */
function openConnector({ receiveBuffer, connection }: Options): Connector {
  try {
    return new Connector(receiveBuffer);
  } catch (error) {
    if (connection !== undefined && error instanceof ProcbusError) {
      writeSync(connection, packFrame(helperMessage.goodbye(error)));
    }
    throw error;
  }
}

/** Resolves with the signal that asks to stop; a second one ends the process at once. */
async function stopSignal({ connection }: Options): Promise<string> {
  // Ctrl-C reaches every process of a terminal; a private helper stays until its client is done.
  if (connection !== undefined) process.on('SIGINT', () => undefined);
  const signals = connection === undefined ? ['SIGTERM', 'SIGINT', 'SIGHUP'] : ['SIGTERM'];
  return new Promise((resolve) => {
    for (const signal of signals) process.once(signal, resolve);
  });
}
