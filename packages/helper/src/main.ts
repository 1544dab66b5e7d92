/*
 * procbusd: the data path, wired.
 *
 *   Connector → KernelStream → ProcessTable (ExecReader, Reconciler) → Broadcast → Server (Session, Outbox)
 *   → the clients
 */
import { readFileSync, writeSync } from 'node:fs';
import { exitStatusOf, helperMessage, packFrame, ProcbusError, type KernelEvent } from '@procbus/protocol';
import { Broadcast, type ToldBatch } from './bus/broadcast.ts';
import { Journal } from './bus/journal.ts';
import { checkConfig } from './config/summary.ts';
import { onHangup } from './hangup.ts';
import { keptNames, openKeptConnector } from './kept-socket.ts';
import type { Connector } from './kernel/connector.ts';
import { KernelStream } from './kernel/kernel-stream.ts';
import * as libc from './libc.ts';
import { log, logLoss } from './log.ts';
import { parseOptions, version, type Options } from './options.ts';
import { decide, refusal, tellsPrograms } from './peers/policy.ts';
import { Server } from './peers/server.ts';
import { claimSocket } from './peers/socket-path.ts';
import { ExecReader } from './processes/exec-reader.ts';
import { procOf } from './processes/proc.ts';
import { ProcessTable } from './processes/process-table.ts';
import { Reconciler } from './processes/reconciler.ts';
import { userName } from './processes/users.ts';
import { readSettings, type Settings } from './settings.ts';
import { connectionStats, EventLoop, helperStats } from './stats.ts';
import { Service, type Vitals } from './systemd/service.ts';
import { Status } from './systemd/status.ts';

/** ms in which those who are behind may catch up when the helper stops. */
const settleTime = 3000;

/** Runs the helper until it is told to stop; returns the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const [command, ...rest] = args;
    if (command === 'install' || command === 'uninstall') {
      const { manage } = await import('./install.ts');
      manage(command, rest);
      return 0;
    }
    const options = parseOptions(args);
    if (options.checkConfig) {
      process.stdout.write(checkConfig(options.config));
      return 0;
    }
    const settings = readSettings(options);
    await run(options, settings, stopSignal(options));
    return 0;
  } catch (error) {
    if (!(error instanceof ProcbusError)) throw error;
    if (!told.has(error)) logError(error);
    return exitStatusOf(error.code);
  }
}

async function run(options: Options, initial: Settings, stopped: Promise<string>): Promise<void> {
  let settings = initial;
  // Whatever started the client of a private helper is no concern of ours.
  const service = new Service(options.connection === undefined ? process.env : {}, keptNames);
  const connector = openConnector(options, settings, service);
  const { ledger } = connector;
  const reader = new ExecReader();
  reader.isWanted = tellsPrograms(settings.rules);
  const proc = procOf(reader);
  const table = new ProcessTable(proc);
  const journal = new Journal(settings.journalSize);
  const source = {
    table,
    setInterest: (interest, patience) => {
      connector.setInterest(interest);
      stream.patience = patience;
      void reader.start();
    },
    catchUp: () => {
      stream.catchUp();
      reconciler.lookIfDue();
    },
  } satisfies ConstructorParameters<typeof Broadcast>[0];
  const broadcast = new Broadcast(source, { journal, predecessor: ledger?.predecessor });
  const publish = (batch: ToldBatch): void => {
    broadcast.publish(batch);
    if (ledger !== undefined) ledger.reached = broadcast.seq + stream.pending;
  };
  const stream = new KernelStream(connector, (batch) => {
    publish({ ...batch, events: table.follow(batch.events, batch.lost !== 0) });
    if (batch.lost !== 0) reconciler.schedule();
    logLoss(batch.lost);
  });
  const reconciler = new Reconciler(
    table,
    proc,
    () => stream.catchUp(),
    (events) =>
      publish({
        events,
        lost: 0,
        kernelTime: libc.monotonicTime(),
        clockOffset: libc.clockOffset(),
      }),
  );
  if (ledger !== undefined) ledger.epoch = broadcast.epoch;
  // Events first, then who lives already: so nobody is missed in between.
  connector.setInterest(broadcast.interest);
  followBacklog(connector.backlog, { reader, table, stream });
  table.scan();
  const eventLoop = new EventLoop();
  const server = new Server({
    broadcast,
    software: `procbusd/${version}`,
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    outboxLimit: () => settings.outboxLimit,
    grantTo: (peer) => decide(settings.rules, settings.limits, peer),
    refusal: (peer) => refusal(settings.rules, peer, names),
    stats: (session) => ({
      connection: connectionStats(session.figures),
      ...(session.seesAll
        ? { helper: helperStats({ connector, reader, table, broadcast, server, eventLoop }) }
        : {}),
    }),
  });
  const reload = (): void => {
    try {
      settings = readSettings(options);
      const wasWanted = reader.isWanted;
      reader.isWanted = tellsPrograms(settings.rules);
      void reader.start();
      // What was begun meanwhile, nobody has read.
      if (reader.isWanted && !wasWanted) reconciler.look();
      server.regrant();
      log('read the configuration again');
    } catch (error) {
      if (!(error instanceof ProcbusError)) throw error;
      logError(error);
      log('the configuration is as it was before');
    }
  };

  try {
    if (options.connection !== undefined) {
      await Promise.race([server.serve(options.connection), stopped]);
    } else {
      await reader.start();
      const status = new Status(broadcast.seq, performance.now());
      await serveSocket(options, settings, server, connector, {
        service,
        isAlive: (ms) => stream.hears(ms),
        status: () => status.line(server.size, broadcast.seq, performance.now()),
        reload,
        stopped,
      });
    }
  } finally {
    reconciler.close();
    stream.close();
    await server.settle(settleTime);
    broadcast.close();
    await reader.close();
    await server.close(new ProcbusError('stopping', 'procbusd is stopping'));
    connector.close();
  }
}

/** Names for people who are refused. */
const names = { userName, groupName: libc.groupNameOf, groupsOf: libc.groupsOf };

/** What had happened before we began, told by the socket of the last helper, is followed from where it begins. */
function followBacklog(
  backlog: readonly KernelEvent[],
  { reader, table, stream }: { reader: ExecReader; table: ProcessTable; stream: KernelStream },
): void {
  const [first] = backlog;
  if (first === undefined) return;
  reader.expectLate(backlog);
  table.scan(first.kernelTime);
  stream.catchUp();
}

/** What the outside may ask of a helper that serves. */
interface Calls extends Vitals {
  readonly service: Service;
  readonly reload: () => void;
  readonly stopped: Promise<string>;
}

/** Serves all who connect, on the socket that systemd hands over or on one of our own. */
async function serveSocket(
  options: Options,
  { socket }: Settings,
  server: Server,
  connector: Connector,
  { service, reload, stopped, ...vitals }: Calls,
): Promise<void> {
  const inherited = service.listening;
  if (inherited !== undefined && options.socket !== undefined) {
    throw new ProcbusError('usage', 'a socket was handed over, so --socket has no meaning', {
      remedy: 'Leave --socket out, or start procbusd without socket activation.',
    });
  }
  const claimed = inherited === undefined ? await claimSocket(socket) : undefined;
  try {
    // Before anybody hears that we are ready: from then on SIGHUP must not end us.
    const gone = new Promise<string>((resolve) => {
      onHangup(
        () => service.reload(reload),
        () => resolve('SIGHUP, as its terminal has gone'),
      );
    });
    server.listen(claimed?.fd ?? (inherited as number));
    const where = claimed === undefined ? 'the socket handed over' : socket.path;
    const { receiveBuffer } = connector;
    const buffer = receiveBuffer < 2 ** 20 ? `${receiveBuffer} bytes` : `${receiveBuffer / 2 ** 20} MiB`;
    log(`${version} listening at ${where}; the kernel may queue ${buffer} of events`);
    service.ready(vitals);
    log(`stopping on ${await Promise.race([stopped, gone])}`);
    service.stopping();
  } finally {
    claimed?.release();
  }
}

/** Errors that a client has been told: it is the one to say so. */
const told = new WeakSet<ProcbusError>();

/** Opens the connector; a private helper tells its one client why it could not. */
function openConnector({ connection }: Options, { receiveBuffer }: Settings, service: Service): Connector {
  try {
    return openKeptConnector(service, receiveBuffer);
  } catch (error) {
    if (connection !== undefined && error instanceof ProcbusError) {
      writeSync(connection, packFrame(helperMessage.goodbye(error)));
      told.add(error);
    }
    throw error;
  }
}

/** Resolves with the signal that asks to stop; a second one ends the process at once. */
async function stopSignal({ connection }: Options): Promise<string> {
  // Ctrl-C reaches every process of a terminal; a private helper stays until its client is done.
  if (connection !== undefined) process.on('SIGINT', () => undefined);
  const signals = connection === undefined ? ['SIGTERM', 'SIGINT'] : ['SIGTERM'];
  return new Promise((resolve) => {
    for (const signal of signals) process.once(signal, resolve);
  });
}

function logError({ message, remedy = '' }: ProcbusError): void {
  for (const line of `${message}\n${remedy}`.split('\n')) if (line !== '') log(line);
}
