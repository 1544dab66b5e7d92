/*
 * Those who listen while a load runs: procbus with its subscribers, and what a user would pick instead.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { connect, type WatchOptions } from '@procbus/client';
import { cpuTime } from './accounting.ts';
import { compiledProgram, inRepository, start, startHelper, until, type Running } from './programs.ts';
import type { Account, Answer, Order } from './subscriber.ts';

/** Path of the textbook listener. */
export function referenceProgram(): string {
  return compiledProgram('bench/programs/reference.c');
}

/** Somebody who listens. */
export interface Listeners {
  /** Seconds of CPU time taken so far. */
  cpuTime(): number;
  stop(): Promise<void>;
}

/** ms after which a program that does not answer has failed. */
const patience = 60_000;

/** The least that CPU time is told in, in seconds, with room for rounding. */
const tick = 0.011;

/** Waits until somebody has nothing more to do: for 200 ms they have taken no more than the next tick may be. */
export async function quiet(listeners: Listeners): Promise<void> {
  let [last, since] = [listeners.cpuTime(), Date.now()];
  await until('silence', () => {
    const now = listeners.cpuTime();
    if (now > last + tick) [last, since] = [now, Date.now()];
    return Date.now() - since > 200;
  });
}

/** Programs that open a socket to the kernel each. */
export class Direct implements Listeners {
  readonly #running: readonly Running[];

  private constructor(running: readonly Running[]) {
    this.#running = running;
  }

  /** So many textbook listeners. */
  static references(count: number): Direct {
    const program = referenceProgram();
    return new Direct(Array.from({ length: count }, () => start(program, [])));
  }

  /** A listener for which the kernel drops all: what it takes that somebody listens at all. */
  static deaf(): Direct {
    return new Direct([start(referenceProgram(), ['deaf'])]);
  }

  /** Another tool, whose output nobody reads. */
  static tool(name: string, args: readonly string[]): Direct {
    return new Direct([start(name, args)]);
  }

  cpuTime(): number {
    return cpuTime(this.#running.map(({ child }) => child.pid as number));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map(async (running) => running.stop()));
  }
}

/** A program of subscribers. */
class Subscribers {
  readonly child: ChildProcess;
  /** What has been told of the last load, and waits to be asked for. */
  #accounts: Account[] = [];
  readonly #connections: number;

  private constructor(child: ChildProcess, connections: number) {
    this.child = child;
    this.#connections = connections;
    child.on('message', (answer: Answer) => {
      if ('account' in answer) this.#accounts.push(answer.account);
    });
  }

  static async start(order: Order): Promise<Subscribers> {
    const child = fork(fileURLToPath(new URL('subscriber.js', import.meta.url)));
    const subscribers = new Subscribers(child, order.connections);
    child.send(order);
    await subscribers.#answer('whether it is ready');
    return subscribers;
  }

  /** What all connections were told of the load that has ended. */
  async accounts(): Promise<Account[]> {
    while (this.#accounts.length < this.#connections) {
      await this.#answer('what it was told: it has failed, or has lost where the load begins or ends');
    }
    return this.#accounts.splice(0);
  }

  async #answer(what: string): Promise<void> {
    try {
      await once(this.child, 'message', { signal: AbortSignal.timeout(patience) });
    } catch (error) {
      throw new Error(`a program of subscribers has not said for ${patience / 1000} s ${what}`, {
        cause: error,
      });
    }
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

/** A helper, and subscribers in programs of their own. */
export class Bus implements Listeners {
  readonly socket: string;
  readonly pid: number;
  readonly #helper: Running;
  readonly #programs: Subscribers[] = [];
  readonly #others: ChildProcess[] = [];

  private constructor(helper: Running & { socket: string; pid: number }) {
    this.#helper = helper;
    this.socket = helper.socket;
    this.pid = helper.pid;
  }

  static async start(...args: string[]): Promise<Bus> {
    return new Bus(await startHelper(...args));
  }

  /** Adds subscribers: so many programs with so many connections each. */
  async subscribe(
    programs: number,
    options: WatchOptions = {},
    { connections = 1, isTimed = false }: { connections?: number; isTimed?: boolean } = {},
  ): Promise<this> {
    const order = { socket: this.socket, connections, options, isTimed };
    for (let at = 0; at < programs; at++) this.#programs.push(await Subscribers.start(order));
    return this;
  }

  /** Adds a `procbus watch`, whose output nobody reads; resolves when it watches. */
  async watch(...args: string[]): Promise<this> {
    const program = inRepository('packages/client/bin/procbus.js');
    const child = spawn(process.execPath, [program, 'watch', ...args, '--socket', this.socket], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#others.push(child);
    await once(child.stderr, 'data');
    return this;
  }

  /** How many events were lost on the way from the kernel to anybody. */
  async lost(): Promise<number> {
    await using bus = await connect({ socket: this.socket });
    const { helper } = await bus.stats();
    if (helper === undefined) throw new Error('the helper tells nothing of itself');
    return helper.lost.kernel + helper.lost.queue;
  }

  /** What each connection was told of the load that has ended. */
  async accounts(): Promise<Account[]> {
    const accounts = await Promise.all(this.#programs.map(async (program) => program.accounts()));
    return accounts.flat();
  }

  /** Of the helper alone. */
  helperTime(): number {
    return cpuTime([this.pid]);
  }

  cpuTime(): number {
    const others = [...this.#programs.map(({ child }) => child), ...this.#others];
    return cpuTime([this.pid, ...others.map(({ pid }) => pid as number)]);
  }

  async stop(): Promise<void> {
    for (const child of this.#others) child.kill('SIGKILL');
    await Promise.all(this.#programs.map(async (program) => program.stop()));
    await this.#helper.stop();
  }
}
