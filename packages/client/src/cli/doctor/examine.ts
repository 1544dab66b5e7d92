/*
 * All checks, from the kernel to what is granted. What they look at is gathered here; each of them is a
 * function of that.
 */
import { readFileSync } from 'node:fs';
import { ProcbusError } from '@procbus/protocol';
import { socketPath } from '../../connect.ts';
import { readNamespaces } from '../../namespaces.ts';
import { version } from '../../version.ts';
import { readAccount } from './accounts.ts';
import type { Check } from './check.ts';
import {
  checkClientQueues,
  checkJournal,
  checkKernelQueue,
  checkPrivileges,
  checkReaders,
  checkReceiveBuffer,
  checkUptime,
  type Told,
} from './figures.ts';
import { checkGroup } from './group.ts';
import { ask, checkConnection, checkGrant, checkVersion, tryPrivate, type Answer } from './helper.ts';
import { checkDirect, checkKernel, readKernel } from './kernel.ts';
import { checkNamespaces, containerHint } from './namespaces.ts';
import { checkProc, readHidepid } from './proc-mount.ts';
import { checkSocket, readSocket, type Found, type Source } from './socket.ts';
import { checkUnits, readUnits } from './units.ts';

/** What was found. */
export interface Findings {
  /** The socket that this is about. */
  readonly socket: string;
  readonly checks: readonly Check[];
}

/**
 * Checks all there is.
 *
 * @param socket - the path that was asked for, instead of the usual one
 */
export async function examine(socket: string | undefined, signal: AbortSignal): Promise<Findings> {
  const path = socket ?? socketPath();
  const namespaces = readNamespaces();
  const kernel = readKernel();
  const [found, account] = await Promise.all([readSocket(path, signal), readAccount(signal)]);
  const answer = await ask(path, signal);
  const error = answer instanceof ProcbusError ? answer : undefined;
  const served = error === undefined;
  // Where nobody listens, commands start a helper of their own, if they can.
  const privately = error?.code === 'no-helper' ? await tryPrivate(signal) : undefined;
  // Behind the connection, which may have had the service started.
  const units = await readUnits(signal);
  const { told, why } = figuresOf(answer);
  const heard = served || privately?.status === 'ok';

  const facts = typeof found === 'string' ? undefined : found;
  const group = checkGroup(account, facts, namespaces.user !== false, served);
  const checks = [
    checkKernel(kernel, heard),
    checkDirect(kernel),
    checkNamespaces(namespaces, path, isSomebodyThere(error), containerHint()),
    checkProc(readHidepid(), told?.capabilities),
    ...checkUnits(units, path, served),
    checkSocket(path, sourceOf(socket, path), found, error),
    group,
    ...(privately === undefined ? [] : [privately]),
    ...helperChecks(answer, found, group),
    ...figureChecks.map(([name, check]): Check =>
      told === undefined ? { name, status: 'skip', what: why } : check(told),
    ),
  ];
  return { socket: path, checks };
}

/** Whether a helper is at the socket, be it one that refuses us. */
function isSomebodyThere(error: ProcbusError | undefined): boolean {
  return error?.code !== 'no-helper' && error?.code !== 'not-a-helper';
}

function sourceOf(socket: string | undefined, path: string): Source {
  if (socket !== undefined) return '--socket';
  return process.env['PROCBUS_SOCKET'] === path ? '$PROCBUS_SOCKET' : 'default';
}

const nobody = 'no helper answers';

/** What is known by the hello. */
function helperChecks(answer: Answer | ProcbusError, found: Found, group: Check): Check[] {
  if (!(answer instanceof ProcbusError)) {
    const { software, grant } = answer.hello;
    return [checkConnection(answer), checkVersion(software, version), checkGrant(grant)];
  }
  return [
    refusal(answer, found, group),
    { name: 'version', status: 'skip', what: nobody },
    { name: 'grant', status: 'skip', what: nobody },
  ];
}

/** Why there is no connection, unless it has been said before. */
function refusal(error: ProcbusError, found: Found, group: Check): Check {
  const name = 'connection';
  if (found === 'missing') return { name, status: 'skip', what: nobody };
  if (error.code === 'not-permitted' && group.status === 'fail') {
    return { name, status: 'fail', what: 'the permissions of the socket do not let you in' };
  }
  return checkConnection(error);
}

const figureChecks: readonly (readonly [name: string, check: (told: Told) => Check])[] = [
  ['uptime', checkUptime],
  ['privileges', checkPrivileges],
  ['readers', checkReaders],
  ['kernel-queue', checkKernelQueue],
  ['client-queues', checkClientQueues],
  ['receive-buffer', (told) => checkReceiveBuffer(told, readRmemMax())],
  ['journal', checkJournal],
];

/** The figures of the helper, or why there are none. */
function figuresOf(answer: Answer | ProcbusError): { told?: Told; why: string } {
  if (answer instanceof ProcbusError) return { why: nobody };
  if (answer.stats instanceof ProcbusError) return { why: 'the helper does not tell its figures' };
  const { helper } = answer.stats;
  return helper === undefined
    ? { why: 'your grant shows no more than your own connection' }
    : { told: helper, why: '' };
}

function readRmemMax(): number | undefined {
  try {
    return Number(readFileSync('/proc/sys/net/core/rmem_max', 'utf8'));
  } catch {
    return undefined;
  }
}
