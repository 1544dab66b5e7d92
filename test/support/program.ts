/*
 * Programs run by tests: started, listened to line by line, and ended for certain.
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { until } from './condition.ts';
import { atEnd } from './lifetime.ts';

/** A path in the repository. */
export function inRepository(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

export class Program {
  readonly child: ChildProcess;
  /** How it ended: an exit status, or the name of a signal. */
  readonly ended: Promise<number | string>;
  #stdout = '';
  #stderr = '';

  /** Starts a program. It is killed at the end of the test, or of those that share it, if it still runs then. */
  constructor(command: string, args: readonly string[], options: SpawnOptions = {}) {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    child.stdin?.on('error', () => undefined);
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (status, signal) => resolve(status ?? signal ?? 'nothing'));
    });
    atEnd(async () => {
      child.kill('SIGKILL');
      await this.ended;
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The complete lines of stdout so far. */
  get lines(): string[] {
    return this.#stdout.split('\n').slice(0, -1);
  }

  /** Resolves when stderr or stdout holds a text; fails when the program ends without it. */
  async says(text: string): Promise<this> {
    let ended = false;
    void this.ended.then(() => (ended = true));
    await until(
      `"${text}" from ${this.child.spawnargs.slice(0, 3).join(' ')}; it said: ${this.#stderr}`,
      () => {
        if (this.#stderr.includes(text) || this.#stdout.includes(text)) return true;
        if (ended) throw new Error(`it ended without saying "${text}": ${this.#stderr}`);
        return false;
      },
    );
    return this;
  }

  /** Sends a signal and resolves with how the program ended. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** Runs a program to its end. */
export async function run(
  command: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<Program> {
  const program = new Program(command, args, options);
  program.child.stdin?.end();
  await program.ended;
  return program;
}
