/*
 * A virtual machine under qemu, and commands that are run in it.
 *
 * Everything is in memory: its root file system is unpacked by the kernel at its start, from archives one behind the
 * other. It is emulated, so it needs nothing of the machine that it runs on, and is some ten times slower.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { until } from '../support/condition.ts';

/** How a command came out. */
export interface Done {
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** ms in which a machine is up. */
const bootTime = 180_000;

export class Machine {
  readonly #qemu: ChildProcess;
  readonly #console: string;
  readonly #answers = new Map<number, Done>();
  #ids = 0;
  #ended = false;

  /**
   * Starts one, and waits until commands can be run.
   *
   * @param archive - its root file system
   * @param consoleLog - the file that its kernel and its services write to
   */
  static async boot(kernel: string, archive: string, consoleLog: string): Promise<Machine> {
    const machine = new Machine(kernel, archive, consoleLog);
    try {
      await machine.#answer(0, 'the machine to be up', bootTime);
      return machine;
    } catch (error) {
      await machine.halt();
      throw error;
    }
  }

  private constructor(kernel: string, archive: string, consoleLog: string) {
    this.#console = consoleLog;
    // Guests of qemu 7.2 that use cmpxchg16b do not survive it; and what else is new is slow to emulate.
    const hardware = '-accel tcg,thread=multi -cpu qemu64,-cx16 -smp 2 -m 4096 -nic none';
    const quiet = 'console=ttyS0 quiet panic=-1 systemd.show_status=no';
    const ports = [
      '-serial',
      `file:${consoleLog}`,
      '-serial',
      'stdio',
      '-display',
      'none',
      '-monitor',
      'none',
    ];
    this.#qemu = spawn(
      'qemu-system-x86_64',
      [
        ...hardware.split(' '),
        '-kernel',
        kernel,
        '-initrd',
        archive,
        '-append',
        quiet,
        '-no-reboot',
        ...ports,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    this.#qemu.on('close', () => (this.#ended = true));
    this.#qemu.stdin?.on('error', () => undefined);
    createInterface({ input: this.#qemu.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const { id, ...done } = JSON.parse(line) as Done & { id: number };
      this.#answers.set(id, done);
    });
  }

  /** Runs a command of the shell to its end, as some user. */
  async run(user: string, command: string, deadline = 120_000): Promise<Done> {
    const id = ++this.#ids;
    this.#qemu.stdin?.write(`${JSON.stringify({ id, user, command })}\n`);
    return this.#answer(id, command, deadline);
  }

  /** As {@link run}, for one that has to succeed; gives what it wrote. */
  async output(user: string, command: string, deadline?: number): Promise<string> {
    const { status, stdout, stderr } = await this.run(user, command, deadline);
    if (status !== 0) throw new Error(`${command} ended with ${status}:\n${stdout}${stderr}`);
    return stdout;
  }

  /** Ends it at once. */
  async halt(): Promise<void> {
    this.#qemu.kill('SIGKILL');
    await until('the end of the machine', () => this.#ended);
  }

  async #answer(id: number, what: string, deadline: number): Promise<Done> {
    try {
      return await until(
        what,
        () => {
          if (this.#ended) throw new Error(`the machine has ended before ${what}`);
          return this.#answers.get(id);
        },
        deadline,
      );
    } catch (error) {
      const said = readFileSync(this.#console, 'utf8').split('\n').slice(-40).join('\n');
      throw new Error(`${(error as Error).message}; on its console:\n${said}`, { cause: error });
    }
  }
}
