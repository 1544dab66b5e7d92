/*
 * The kernel's socket beyond the life of one helper.
 *
 * Idea: the service manager keeps the socket and its ledger. While no helper lives, the kernel goes on queueing; the
 * next one takes both over, and knows what the end of the last one has cost. One without the other is worth
 * nothing, and neither is a socket that tells nothing any more: then all begins anew, and nobody can say what is
 * missing.
 */
import { ProcbusError } from '@procbus/protocol';
import { Connector, isConnectorSocket } from './kernel/connector.ts';
import { Ledger } from './kernel/ledger.ts';
import * as libc from './libc.ts';
import { log } from './log.ts';
import type { Service } from './systemd/service.ts';

const socketName = 'netlink';
const ledgerName = 'ledger';

/** What a helper may have left to the next one. */
export const keptNames: readonly string[] = [socketName, ledgerName];

/**
 * Opens the connector: goes on with the socket of the last helper where it has left one, and has it kept for the next.
 *
 * @throws ProcbusError as {@link Connector} does
 */
export function openKeptConnector(service: Service, receiveBuffer: number): Connector {
  if (!service.keeps) return new Connector(receiveBuffer);
  const former = takeOver(service, receiveBuffer);
  if (former !== undefined) return former;
  for (const name of keptNames) service.forget(name);
  const connector = new Connector(receiveBuffer, { ledger: new Ledger() });
  service.keep(socketName, connector.fd);
  service.keep(ledgerName, (connector.ledger as Ledger).fd);
  return connector;
}

function takeOver(service: Service, receiveBuffer: number): Connector | undefined {
  const [fd, ledgerFd] = [service.takeKept(socketName), service.takeKept(ledgerName)];
  if (fd === undefined && ledgerFd === undefined) return undefined;
  if (fd === undefined || ledgerFd === undefined || !isConnectorSocket(fd) || !Ledger.isOne(ledgerFd)) {
    log('what the last procbusd has left is of no use to this one');
    for (const one of [fd, ledgerFd]) if (one !== undefined) libc.close(one);
    return undefined;
  }
  const ledger = new Ledger(ledgerFd);
  try {
    const connector = new Connector(receiveBuffer, { fd, ledger });
    log(`going on where the last procbusd has ended, with ${connector.backlog.length} events since`);
    return connector;
  } catch (error) {
    ledger.close();
    if (!(error instanceof ProcbusError) || error.code !== 'connector-silent') throw error;
    log('the socket that the last procbusd has left tells nothing any more');
    return undefined;
  }
}
