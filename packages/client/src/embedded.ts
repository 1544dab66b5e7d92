/*
 * A helper of our own, where the machine has none: a child process on an inherited socket pair. It
 * ends when the connection does, even if this process is killed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import type { Socket } from 'node:net';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ProcbusError } from '@procbus/protocol';
import { Bus } from './bus.ts';
import { Connection } from './connection.ts';
import { wireOf } from './wire.ts';

/** The descriptor that the helper finds its end of the socket pair at. */
const connectionFd = 3;

/**
 * Starts a private helper, which lives as long as its one connection. It needs what any helper needs: root
 * or CAP_NET_ADMIN before Linux 6.6, and the initial namespaces.
 *
 * @param signal - gives up: the promise rejects with the signal's reason
 * @throws ProcbusError `no-helper` where procbusd is not installed, else what the helper says:
 * `connector-missing`, `connector-not-permitted`, `connector-namespace` or `connector-silent`
 */
export async function startEmbedded(signal?: AbortSignal): Promise<Bus> {
  signal?.throwIfAborted();
  const [program, ...args] = helperCommand();
  const child = spawn(program, [...args, '--connection', String(connectionFd)], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
  const exited = exitOf(child);
  const socket = child.stdio[connectionFd] as unknown as Socket;
  return new Bus(await Connection.open(wireOf(socket), signal), { afterClose: async () => exited });
}

/** Resolves when a child has ended, or could not be started. */
async function exitOf(child: ChildProcess): Promise<void> {
  try {
    await once(child, 'exit');
  } catch {
    // It never ran; the socket pair is closed, and that is what the caller sees.
  }
}

/** How to run procbusd: the package beside this one, or else a program on the PATH. */
function helperCommand(): [program: string, ...args: string[]] {
  try {
    return [process.execPath, fileURLToPath(import.meta.resolve('@procbus/helper/procbusd'))];
  } catch {
    return [helperOnPath()];
  }
}

function helperOnPath(): string {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const program = join(directory, 'procbusd');
    try {
      accessSync(program, constants.X_OK);
      return program;
    } catch {
      continue;
    }
  }
  throw new ProcbusError('no-helper', 'procbusd is not installed', {
    remedy: 'Install it with: npm install @procbus/helper',
  });
}
