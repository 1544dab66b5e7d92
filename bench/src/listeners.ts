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

/** Somebody who listens. */
export interface Listeners {
  /** Seconds of CPU time taken so far. */
  cpuTime(): number;
  stop(): Promise<void>;
}

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
    const program = compiledProgram('bench/programs/reference.c');
    return new Direct(Array.from({ length: count }, () => start(program, [])));
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

/** A program that subscribes. */
class Subscriber {
  readonly child: ChildProcess;
  /** What has been told of a load, and waits to be asked for. */
  #account: Account | undefined;

  private constructor(child: ChildProcess) {
    this.child = child;
    child.on('message', (answer: Answer) => {
      if ('account' in answer) this.#account = answer.account;
    });
  }

  static async start(order: Order): Promise<Subscriber> {
    const child = fork(fileURLToPath(new URL('subscriber.js', import.meta.url)));
    const subscriber = new Subscriber(child);
    child.send(order);
    await once(child, 'message');
    return subscriber;
  }

  /** What was told of the load that has ended. */
  async account(): Promise<Account> {
    const told = this.#account;
    if (told === undefined) {
      await once(this.child, 'message', { signal: AbortSignal.timeout(60_000) });
      return this.account();
    }
    this.#account = undefined;
    return told;
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
  readonly #subscribers: Subscriber[] = [];
  readonly #commands: ChildProcess[] = [];

  private constructor(helper: Running & { socket: string; pid: number }) {
    this.#helper = helper;
    this.socket = helper.socket;
    this.pid = helper.pid;
  }

  static async start(): Promise<Bus> {
    return new Bus(await startHelper());
  }

  /** Adds so many subscribers. */
  async subscribe(count: number, options: WatchOptions = {}): Promise<void> {
    const order = { socket: this.socket, options };
    for (let at = 0; at < count; at++) this.#subscribers.push(await Subscriber.start(order));
  }

  /** Adds a `procbus watch`, whose output nobody reads; resolves when it watches. */
  async watch(...args: string[]): Promise<void> {
    const program = inRepository('packages/client/bin/procbus.js');
    const child = spawn(process.execPath, [program, 'watch', ...args, '--socket', this.socket], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#commands.push(child);
    await once(child.stderr, 'data');
  }

  /** How many events were lost on the way from the kernel to anybody. */
  async lost(): Promise<number> {
    await using bus = await connect({ socket: this.socket });
    const { helper } = await bus.stats();
    if (helper === undefined) throw new Error('the helper tells nothing of itself');
    return helper.lost.kernel + helper.lost.queue;
  }

  /** What each subscriber was told of the load that has ended. */
  async accounts(): Promise<Account[]> {
    return Promise.all(this.#subscribers.map(async (subscriber) => subscriber.account()));
  }

  /** Of the helper alone. */
  helperTime(): number {
    return cpuTime([this.pid]);
  }

  cpuTime(): number {
    const others = [...this.#subscribers.map(({ child }) => child), ...this.#commands];
    return cpuTime([this.pid, ...others.map(({ pid }) => pid as number)]);
  }

  async stop(): Promise<void> {
    for (const child of this.#commands) child.kill('SIGKILL');
    await Promise.all(this.#subscribers.map(async (subscriber) => subscriber.stop()));
    await this.#helper.stop();
  }
}
