/*
 * A shell that does what it is told, command by command, through its stdin.
 */
import { readlinkSync } from 'node:fs';
import { actor } from './actor.ts';
import { until } from './condition.ts';
import { Program } from './program.ts';

export class SteeredShell extends Program {
  #commands = 0;

  constructor() {
    super('/bin/sh', []);
  }

  /** Runs a command, and waits until the shell is done with it; returns what it printed. */
  async does(command: string): Promise<string> {
    const done = `done ${++this.#commands}`;
    const from = this.stdout.length;
    this.tell(`${command}\necho ${done}`);
    await this.says(`${done}\n`);
    return this.stdout.slice(from, this.stdout.indexOf(`${done}\n`, from));
  }

  /** Runs a command and waits for nothing. */
  tell(command: string): void {
    this.child.stdin?.write(`${command}\n`);
  }

  /** Has the shell run another program in its place, and waits until it does. */
  async becomes(program: string): Promise<void> {
    const before = readlinkSync(`/proc/${this.pid}/exe`);
    this.tell(`exec ${program}`);
    await until(program, () => readlinkSync(`/proc/${this.pid}/exe`) !== before);
  }

  /** Ends the shell, when it is done with all that it was told. */
  async leave(): Promise<void> {
    this.child.stdin?.end();
    await this.ended;
  }
}

/** A shell under a pid that is free now; fails where somebody else keeps it. */
export class ShellWithPid extends Program {
  /** The process of the shell, whose parent is the program. */
  readonly shellPid: number;

  private constructor(pid: number) {
    super(actor(), ['take-pid', String(pid), '/bin/sh']);
    this.shellPid = pid;
  }

  static async start(pid: number): Promise<ShellWithPid> {
    const program = new ShellWithPid(pid);
    await program.says('attempts');
    return program;
  }
}
