/*
 * Two hundred clients in a storm, some of which stop reading: nobody loses anything but those, and they exactly
 * what they are told.
 */
import { writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@procbus/client';
import { clientMessage, packFrame, versions } from '@procbus/protocol';
import { expect, test } from 'vitest';
import { actor } from './support/actor.ts';
import { compiled } from './support/compiled.ts';
import { until } from './support/condition.ts';
import { residentOf } from './support/memory.ts';
import { startHelper, temporaryDirectory } from './support/procbus.ts';
import { Program, run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

/** What one subscription was told, as `reader` has counted it. */
interface Account {
  readonly start: number;
  readonly last: number;
  readonly events: number;
  readonly losses: number;
  readonly kernel: number;
  readonly queue: number;
  readonly journal: number;
  readonly hashed: number;
  readonly hash: string;
}

/** Starts a program that reads everything on some connections. */
async function startReaders(socket: string, connections: number): Promise<Program> {
  const said = [clientMessage.hello({ versions, software: 'reader' }), clientMessage.subscribe(1, {})];
  const hex = Buffer.concat(said.map((message) => packFrame(message))).toString('hex');
  const readers = new Program(compiled('reader'), [socket, String(connections), hex]);
  return readers.says('subscribed');
}

async function accountsOf(readers: Program): Promise<Account[]> {
  expect(await readers.ended).toBe(0);
  return readers.lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Account);
}

const seconds = (count: number): number => count * 1000;

kernelSuite('a storm', [needsProgram('gcc')], () => {
  test(
    '200 clients for a minute, ten of them stopped for 20 s of it',
    async () => {
      const config = join(temporaryDirectory(), 'procbusd.toml');
      // They are all of one user here, who shall not be the bottleneck.
      writeFileSync(config, '[limits]\nqueued-bytes = "512MiB"\n');
      const { program: helper, socket } = await startHelper('--config', config);
      await using bus = await connect({ socket });
      await run(actor(), ['fork-storm', '30000']);
      const base = residentOf(helper.pid);
      const prompt = await startReaders(socket, 190);
      const stopped = await Promise.all(Array.from({ length: 10 }, async () => startReaders(socket, 1)));
      await run(actor(), ['name', 'reader-begin']);

      let peak = 0;
      const storm = new Program(actor(), ['fork-storm', '100000000']);
      // Readers are prompt only where they get the time to read: on a few CPUs the storm would take it from them.
      setPriority(storm.pid, constants.priority.PRIORITY_LOW);
      /** Lets the storm go on for some time. */
      const rage = async (time: number): Promise<void> => {
        const end = performance.now() + time;
        while (performance.now() < end) {
          await sleep(500);
          peak = Math.max(peak, residentOf(helper.pid));
        }
      };
      await rage(seconds(20));
      for (const { child } of stopped) child.kill('SIGSTOP');
      await rage(seconds(20));
      // A machine that is busy otherwise may need longer.
      await until('a loss of each', async () => {
        const { helper: figures } = await bus.stats();
        return figures?.connections.filter(({ lost }) => lost > 0).length === stopped.length;
      });
      for (const { child } of stopped) child.kill('SIGCONT');
      await rage(seconds(20));
      await storm.stop('SIGKILL');
      await until('the queues to be read', async () => {
        const { helper: figures } = await bus.stats();
        return figures?.clients.every(({ queuedBytes }) => queuedBytes === 0);
      });
      await run(actor(), ['name', 'reader-end']);

      const unharmed = await accountsOf(prompt);
      const harmed = (await Promise.all(stopped.map(accountsOf))).flat();
      expect(unharmed.length).toBe(190);
      // Numbers have no gaps for who asks for everything: so many events there were between start and end.
      for (const { start, last, events, kernel, queue, journal } of [...unharmed, ...harmed]) {
        expect(events + kernel + queue).toBe(last - start);
        expect(journal).toBe(0);
      }
      expect(new Set(unharmed.map(({ hashed, hash }) => `${hashed} ${hash}`)).size).toBe(1);
      expect(unharmed.every(({ queue }) => queue === 0)).toBe(true);
      expect(harmed.every(({ queue }) => queue > 0)).toBe(true);

      const { helper: figures } = await bus.stats();
      await until('the memory to come back', () => residentOf(helper.pid) < base + 64, seconds(30));
      const count = unharmed[0]?.hashed ?? 0;
      process.stderr.write(
        `200 clients: ${count} events to each in 60 s; ten that were stopped lost ${harmed.map(({ queue }) => queue).join(', ')}; ` +
          `kernel lost ${figures?.lost.kernel}; helper ${base.toFixed(0)} MiB before, ${peak.toFixed(0)} MiB at most, ${residentOf(helper.pid).toFixed(0)} MiB after\n`,
      );
      expect(peak).toBeLessThan(base + 256);
    },
    seconds(180),
  );
});
