/*
 * procbusd as a service: what it tells its manager, and what of it outlives its process.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { procbusd, startHelper, temporaryDirectory, Watcher } from './support/procbus.ts';
import { inRepository, Program, run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';
import { begin, end, hasEnd, lossesOf, lostIn, missingFrom } from './support/tally.ts';

/** A helper under a service manager that starts it again whenever it ends. */
class Service {
  readonly manager: Program;
  readonly socket: string;

  static async start(
    args: readonly string[] = [],
    kept: Readonly<Record<string, string>> = {},
  ): Promise<Service> {
    const service = new Service(args, kept);
    await service.manager.says('READY=1');
    return service;
  }

  private constructor(args: readonly string[], kept: Readonly<Record<string, string>>) {
    const directory = temporaryDirectory();
    this.socket = join(directory, 'procbus.sock');
    const files = Object.entries(kept).map(([name, file]) => `${name}=${file}`);
    const command = [process.execPath, procbusd, '--config', '/dev/null', ...args];
    const manager = [inRepository('test/programs/manager.py'), this.socket, join(directory, 'notify')];
    this.manager = new Program('python3', [...manager, ...files, '--', ...command]);
  }

  /** Tells the manager to do something. */
  do(word: string): void {
    this.manager.child.stdin?.write(`${word}\n`);
  }

  /** All that the service has told of something. */
  told(name: string): string[] {
    return this.manager.lines.filter((line) => line.startsWith(`${name}=`));
  }

  /** How often the service was started. */
  get starts(): number {
    return this.pids.length;
  }

  get pids(): number[] {
    return this.manager.lines
      .filter((line) => line.startsWith('started '))
      .map((line) => Number(line.slice(8)));
  }

  /** Has the service end by a signal, and waits until it is back. */
  async restart(signal: string): Promise<void> {
    const { length } = this.told('READY');
    this.do(signal);
    await until('it to be back', () => this.told('READY').length > length);
  }
}

/** Has a client of the service and one of another helper watch a storm in which something happens. */
async function compare(
  service: Service,
  happens: (client: Watcher) => Promise<void>,
): Promise<{ client: Watcher; missing: number; total: number }> {
  const { socket } = await startHelper();
  const [client, reference] = await Promise.all([Watcher.start(service.socket), Watcher.start(socket)]);
  await run(actor(), ['name', begin]);
  const storm = new Program(actor(), ['fork-storm', '100000000']);
  await until('events', () => client.events.length > 1000);
  await happens(client);
  await storm.stop('SIGKILL');
  await run(actor(), ['name', end]);
  await until('the end', () => hasEnd(client.events) && hasEnd(reference.events));
  return { client, ...missingFrom(client.events, reference.events, service.pids) };
}

/**
 * Waits until somebody is told what happens now. What had queued up while the service was away comes before it, with the
 * synthetic beginnings of processes that were over by then: those are events as well where they are lost, though the
 * kernel told none of them.
 */
async function abreast(watcher: Watcher): Promise<void> {
  const now = process.hrtime.bigint(); // CLOCK_MONOTONIC
  await until('an event of now', () => {
    const last = watcher.events.at(-1);
    return last !== undefined && last.type !== 'lost' && BigInt(last.kernelTime) > now;
  });
}

/** Waits until somebody has connected so often again, and is being told what had queued up. */
async function connectedAgain(watcher: Watcher, times: number): Promise<void> {
  await until('a connection', () => watcher.stderr.split('connected again').length > times);
}

kernelSuite('a service', [needsProgram('gcc'), needsProgram('python3')], () => {
  test('killed again and again under load goes on where it was, and tells exactly what that has cost', async () => {
    const service = await Service.start();
    const { client, missing, total } = await compare(service, async (watcher) => {
      for (let round = 0; round < 5; round++) {
        await service.restart('SIGKILL');
        await abreast(watcher);
      }
    });
    expect(service.starts).toBe(6);
    for (const { where, count } of lossesOf(client.events))
      expect([where, count > 0]).toEqual(['journal', true]);
    expect(lostIn(client.events)).toBe(missing);
    process.stderr.write(`killed 5 times: ${missing} of ${total} events lost, and told so\n`);
  });

  test('killed again while it tells what had queued up, tells no less than what that has cost', async () => {
    const service = await Service.start();
    const { client, missing } = await compare(service, async (watcher) => {
      for (let round = 1; round <= 5; round++) {
        await service.restart('SIGKILL');
        await connectedAgain(watcher, round);
      }
    });
    // Such a beginning is lost with the event behind it, which has made it necessary.
    const synthetic = lostIn(client.events) - missing;
    expect(lossesOf(client.events).every(({ where }) => where === 'journal')).toBe(true);
    expect(synthetic).toBeGreaterThanOrEqual(0);
    expect(synthetic).toBeLessThanOrEqual(missing);
    process.stderr.write(`killed while it catches up: ${missing} events lost, and ${synthetic} made up\n`);
  });

  test('stopped and started again under load loses nothing', async () => {
    const service = await Service.start();
    const { client, missing, total } = await compare(service, async (watcher) => {
      for (let round = 1; round <= 3; round++) {
        await service.restart('SIGTERM');
        await connectedAgain(watcher, round);
      }
    });
    expect(service.manager.lines.filter((line) => line === 'ended 0')).toHaveLength(3);
    expect({ missing, losses: lossesOf(client.events) }).toEqual({ missing: 0, losses: [] });
    expect(total).toBeGreaterThan(3000);
  });

  test('that was away for longer than the kernel’s queue lasts tells how many did not fit', async () => {
    const service = await Service.start(['--receive-buffer', '262144']);
    const { client, missing } = await compare(service, async () => {
      service.do('hold');
      service.do('SIGKILL');
      await service.manager.says('ended -9');
      await run(actor(), ['fork-storm', '5000']);
      const { length } = service.told('READY');
      service.do('go');
      await until('it to be back', () => service.told('READY').length > length);
    });
    expect(lossesOf(client.events).some(({ where, count }) => where === 'kernel' && count > 1000)).toBe(true);
    expect(lostIn(client.events)).toBe(missing);
  });

  test('of a process that began while it was away knows the program, or that it does not', async () => {
    const service = await Service.start();
    const client = await Watcher.start(service.socket, '--include', 'args');
    service.do('hold');
    service.do('SIGKILL');
    await service.manager.says('ended -9');
    const over = await run('/bin/true', ['over']);
    const twice = new Program('/bin/sh', ['-c', 'exec /bin/sleep 1000']);
    await until('its second program', async () =>
      (await run('ps', ['-o', 'comm=', '-p', `${twice.pid}`])).stdout.includes('sleep'),
    );
    service.do('go');
    await until('its execs', () => client.of(twice.pid).filter(({ type }) => type === 'exec').length === 2);
    const execs = [...client.of(over.pid), ...client.of(twice.pid)].filter((event) => event.type === 'exec');
    expect(
      execs.map((event) => (event.type === 'exec' ? [event.process.detail, event.process.args] : [])),
    ).toEqual([
      ['gone', undefined],
      ['gone', undefined],
      ['complete', ['/bin/sleep', '1000']],
    ]);
  });

  test('makes nothing of what it is given that is none of its own', async () => {
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, 'x'.repeat(200_000));
    for (const kept of [{ netlink: file }, { ledger: file }, { netlink: file, ledger: file }]) {
      const service = await Service.start([], kept);
      expect(service.manager.stderr).toContain('what the last procbusd has left is of no use to this one');
      const client = await Watcher.start(service.socket);
      const { pid } = await run('/bin/true', []);
      await until('an event', () => client.hasEnded(pid));
      await service.restart('SIGKILL');
      expect(service.manager.stderr).toContain('going on where the last procbusd has ended');
    }
  });

  test('tells how it is, that it lives, and that it reads its configuration again', async () => {
    const service = await Service.start();
    await until('a sign of life', () => service.told('WATCHDOG').includes('WATCHDOG=1'));
    await Watcher.start(service.socket);
    await until('its status', () =>
      service.told('STATUS').some((line) => /^STATUS=1 client, \d+ events\/s$/.test(line)),
    );
    service.do('SIGHUP');
    await until('the end of it', () => service.told('READY').length === 2);
    expect(service.told('RELOADING')).toEqual(['RELOADING=1']);
    expect(service.told('MONOTONIC_USEC')).toHaveLength(1);
    service.do('SIGTERM');
    await service.manager.says('STOPPING=1');
  });

  test('that hears nothing any more says so, and the next one begins anew', async () => {
    const service = await Service.start();
    service.do('deafen');
    await until('a cry for help', () => service.told('WATCHDOG').includes('WATCHDOG=trigger'));
    await service.restart('SIGABRT');
    expect(service.manager.stderr).toContain(
      'the socket that the last procbusd has left tells nothing any more',
    );
    const client = await Watcher.start(service.socket);
    const { pid } = await run('/bin/true', []);
    await until('an event', () => client.hasEnded(pid));
  });
});
