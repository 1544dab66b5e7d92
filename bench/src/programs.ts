/*
 * The programs that a benchmark runs.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** A path in the repository; we run from bench/dist. */
export function inRepository(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

/** Path of the program of a C file in the repository, compiled when that has changed. */
export function compiledProgram(file: string): string {
  const source = inRepository(file);
  const program = inRepository(`node_modules/.cache/${basename(file, '.c')}`);
  const compiled = statSync(program, { throwIfNoEntry: false });
  if (compiled === undefined || compiled.mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(inRepository('node_modules/.cache'), { recursive: true });
    execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-o', program, source]);
  }
  return program;
}

/** Whether a program can be run here. */
export function isInstalled(program: string): boolean {
  return spawnSync('which', [program]).status === 0;
}

/** A program in the background. */
export interface Running {
  readonly child: ChildProcess;
  /** Ends it, and waits until it has. */
  stop(): Promise<void>;
}

/** Starts a program whose output goes to a file, or nowhere. */
export function start(
  program: string,
  args: readonly string[],
  output: number | 'ignore' = 'ignore',
): Running {
  const child = spawn(program, args, { stdio: ['ignore', output, 'ignore'] });
  const ended = once(child, 'exit');
  return {
    child,
    stop: async () => {
      child.kill('SIGTERM');
      await Promise.race([ended, delay(1000)]);
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Runs a program to its end. */
export async function finish(program: string, args: readonly string[]): Promise<void> {
  await once(start(program, args).child, 'exit');
}

/** A helper that serves a socket of its own. */
export async function startHelper(
  ...args: string[]
): Promise<Running & { readonly socket: string; readonly pid: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'procbus-bench-'));
  const socket = join(directory, 'procbus.sock');
  const helper = inRepository('packages/helper/bin/procbusd.js');
  const running = start(process.execPath, [helper, '--socket', socket, ...args]);
  await until('the helper', () => statSync(socket, { throwIfNoEntry: false }) !== undefined);
  return {
    ...running,
    socket,
    pid: running.child.pid as number,
    stop: async () => {
      await running.stop();
      rmSync(directory, { recursive: true });
    },
  };
}

/** Waits for a condition, for at most some ms. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  ms = 30_000,
): Promise<void> {
  for (const deadline = Date.now() + ms; !(await isSo()); await delay(20)) {
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms for ${what} in vain`);
  }
}
