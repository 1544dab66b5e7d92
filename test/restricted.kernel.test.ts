/*
 * A helper that may not look at every process says less, and nothing wrong.
 */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { connect, type Bus, type ProcessRecord } from '@procbus/client';
import { expect, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { differences } from './support/machine.ts';
import { run, type Program } from './support/program.ts';
import { Replica } from './support/replica.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';
import {
  lingeringAsNobody,
  lingeringAsRoot,
  restrictions,
  startRestrictedHelper,
} from './support/restricted-helper.ts';

const needs = [needsProgram('gcc'), needsProgram('setpriv'), needsProgram('unshare')];

kernelSuite('a helper with few privileges', needs, () => {
  test.each(Object.entries(restrictions))(
    '%s, tells the arguments of all, and of whose program it may not look at, that this is a part',
    async (_, privileges) => {
      const { socket } = await startRestrictedHelper({ privileges });
      await using bus = await connect({ socket });
      const replica = new Replica(await bus.listAndWatch({ include: ['args', 'exe'] }));
      const program = lingeringAsRoot();
      await until('it to be listed', async () => (await recordOf(bus, program))?.comm === 'cat');
      const record = await recordOf(bus, program);
      expect(record).toMatchObject({ comm: 'cat', args: ['/bin/cat', '-'], detail: 'partial', uid: 0 });
      expect(record).not.toHaveProperty('exe');
      program.child.stdin?.end();
      const exit = await replica.sees('the exit', ({ type, pid }) => type === 'exit' && pid === program.pid);
      expect(exit).toMatchObject({ exitCode: 0, process: { comm: 'cat', detail: 'partial' } });

      const told = replica.events.filter(({ pid }) => pid === program.pid);
      expect(told.map(({ type }) => type)).toEqual(['fork', 'exec', 'exit']);
      expect(told[1]?.process).toMatchObject({ args: ['/bin/cat', '-'], comm: 'cat', detail: 'partial' });
      expect(told[1]?.process).not.toHaveProperty('exe');
      await until('the list to be /proc', async () => (await differences(bus)).length === 0);
      expect(replica.oddities).toEqual([]);
    },
  );

  test('as nobody, tells all of what is its own user’s', async () => {
    const privileges = restrictions['as nobody, with CAP_NET_ADMIN alone'];
    const { socket } = await startRestrictedHelper({ privileges });
    await using bus = await connect({ socket });
    const program = lingeringAsNobody();
    await until('it to be listed', async () => (await recordOf(bus, program))?.comm === 'cat');
    const { exe, detail, user } = (await recordOf(bus, program)) as ProcessRecord;
    expect({ exe, detail, user }).toEqual({
      exe: expect.stringMatching(/\/cat$/),
      detail: 'complete',
      user: 'nobody',
    });
  });
});

kernelSuite('a helper from whom /proc hides processes', [...needs, needsMountOptions()], () => {
  test.each(Object.entries(restrictions))(
    '%s, tells of them nonetheless, and after a loss of none that it has ended unless it has',
    async (_, privileges) => {
      const hidden = { privileges, hidden: true };
      const { socket, program: helper } = await startRestrictedHelper(hidden, '--receive-buffer', '4096');
      expect(readFileSync('/proc/mounts', 'utf8')).not.toMatch(/hidepid/);
      await using bus = await connect({ socket });
      const snapshot = await bus.listAndWatch();
      expect(snapshot.processes.map(({ pid }) => pid)).not.toContain(1);
      const replica = new Replica(snapshot);
      const [living, ending] = [await listed(bus), await listed(bus)];
      expect(await recordOf(bus, living)).toMatchObject({ detail: 'gone' });
      const before = replica.seq;

      helper.child.kill('SIGSTOP');
      await until('the helper to stand still', () => stateOf(helper.pid) === 'T');
      // From here on the queue is full, so that nothing of what follows can be told.
      await run(actor(), ['fork-storm', '200']);
      await ending.stop('SIGKILL');
      helper.child.kill('SIGCONT');
      const isEnd = ({ type, pid }: { type: string; pid: number }): boolean =>
        type === 'exit' && pid === ending.pid;
      const end = await replica.sees('the end of the other one', isEnd);
      expect(end).toMatchObject({ synthetic: true });
      // Twice more, as what is wrong may be told late.
      for (let look = 0; look < 2; look++) {
        const losses = replica.losses.length;
        await until('another loss', async () => {
          await run(actor(), ['fork-storm', '2000']);
          return replica.losses.length > losses;
        });
      }
      const fresh = await listed(bus);
      expect(await recordOf(bus, living)).toMatchObject({ pid: living.pid });
      const told = replica.events.filter(({ pid, seq }) => pid === living.pid && seq > before);
      expect(told).toEqual([]);
      expect(replica.oddities).toEqual([]);

      for (const program of [living, fresh]) {
        program.child.stdin?.end();
        const exit = await replica.sees(
          'the exit',
          ({ type, pid }) => type === 'exit' && pid === program.pid,
        );
        expect(exit).toMatchObject({ exitCode: 0 });
      }
    },
  );
});

/** A program whose beginning was not lost: of one that is hidden only events tell. */
async function listed(bus: Bus): Promise<Program> {
  return until('a program to be listed', async () => {
    const program = lingeringAsRoot();
    await until('it to run', () => readFileSync(`/proc/${program.pid}/comm`, 'utf8') === 'cat\n');
    if ((await recordOf(bus, program)) !== undefined) return program;
    await program.stop('SIGKILL');
    return undefined;
  });
}

async function recordOf(bus: Bus, { pid }: Program): Promise<ProcessRecord | undefined> {
  return (await bus.list({ pids: [pid] })).processes[0];
}

/** The state of a process as one letter, see proc_pid_stat(5). */
function stateOf(pid: number): string | undefined {
  return /State:\s+(\w)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
}

/** Before Linux 5.8 all mounts of /proc share their options, and hiding would reach the whole machine. */
function needsMountOptions(): string | undefined {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 5 || (major === 5 && minor >= 8) ? undefined : 'needs Linux 5.8';
}
