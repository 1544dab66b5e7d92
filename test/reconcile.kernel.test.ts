/*
 * After events were lost the helper looks at /proc, and tells in synthetic events what had happened unseen.
 */
import { readFileSync } from 'node:fs';
import { connect, type Bus, type ProcessEvent } from '@procbus/client';
import { expect, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { differences } from './support/machine.ts';
import { startHelper } from './support/procbus.ts';
import { Program, run } from './support/program.ts';
import { Replica, type Known } from './support/replica.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';
import { SteeredShell } from './support/steered-shell.ts';

/** Room for some ten events. */
const tinyQueue = ['--receive-buffer', '4096'];
/** ms after which the helper has to know all again. */
const promised = 1000;

kernelSuite('reconciliation', [needsProgram('gcc')], () => {
  test('what begins, ends or becomes another program unheard is told in synthetic events', async () => {
    const { program: helper, socket } = await startHelper(...tinyQueue);
    await using bus = await connect({ socket });
    const replica = new Replica(await bus.listAndWatch());
    for (let repetition = 0; repetition < 10; repetition++) {
      const ending = some(() => new Program(actor(), ['linger']));
      const changing = some(() => new SteeredShell());
      const staying = some(() => new SteeredShell());
      await agreement(bus, 30_000);
      const before = seqOf((await bus.list()).cursor);

      helper.child.kill('SIGSTOP');
      await until('the helper to stand still', () => stateOf(helper.pid) === 'T');
      // From here on the queue is full, so that nothing of what follows can be told.
      await run(actor(), ['fork-storm', '200']);
      const beginning = some(() => new Program(actor(), ['linger']));
      await Promise.all(changing.map(async (shell) => shell.becomes('/bin/cat')));
      await Promise.all(ending.map(async (program) => program.stop('SIGKILL')));
      await run(actor(), ['fork-storm', '200']);
      helper.child.kill('SIGCONT');
      await agreement(bus, promised);

      const { cursor, processes } = await bus.list();
      expect(idsOf(await replica.at(cursor))).toEqual(idsOf(processes));
      expect(replica.oddities).toEqual([]);
      const since = replica.events.filter(({ seq }) => seq > before && seq <= seqOf(cursor));
      const tell = (programs: readonly Program[]): (string | undefined)[] =>
        programs.map(({ pid }) =>
          since
            .filter((event) => event.pid === pid)
            .map(summary)
            .join(),
        );
      expect(tell(beginning)).toEqual(['synthetic fork', 'synthetic fork', 'synthetic fork']);
      expect(tell(changing)).toEqual(['synthetic exec', 'synthetic exec', 'synthetic exec']);
      expect(tell(ending)).toEqual(['synthetic exit', 'synthetic exit', 'synthetic exit']);
      expect(tell(staying)).toEqual(['', '', '']);
      const found = since.filter(({ pid }) =>
        [...beginning, ...changing].some((program) => program.pid === pid),
      );
      expect(found.map(({ process }) => process.comm).toSorted()).toEqual([
        'actor',
        'actor',
        'actor',
        'cat',
        'cat',
        'cat',
      ]);

      const firstLoss = replica.losses.find(({ seq }) => seq > before);
      const firstFound = since.find(({ synthetic }) => synthetic === true);
      expect(firstLoss?.count).toBeGreaterThan(400);
      expect(firstLoss?.seq).toBeLessThan(firstFound?.seq ?? 0);
      for (const each of [...beginning, ...changing, ...staying]) await each.stop('SIGKILL');
    }
  });

  test('a list and the events since come out at /proc within a second of storms that overflow the queue', async () => {
    const { program: helper, socket } = await startHelper(...tinyQueue);
    await using bus = await connect({ socket });
    const replica = new Replica(await bus.listAndWatch());
    let living = some(() => new Program(actor(), ['linger']));
    for (let repetition = 0; repetition < 5; repetition++) {
      const storms = [run(actor(), ['fork-storm', '3000']), run(actor(), ['crowd', '1000', '100'])];
      // Some of this is told, and some is lost.
      const shells = some(() => new SteeredShell());
      await Promise.all(shells.map(async (shell) => shell.becomes('/bin/cat')));
      await Promise.all(living.map(async (each) => each.stop('SIGKILL')));
      living = [...shells, ...some(() => new Program(actor(), ['linger']))];
      await Promise.all(storms);
      await agreement(bus, promised);

      const { cursor, processes } = await bus.list();
      expect(idsOf(await replica.at(cursor))).toEqual(idsOf(processes));
      expect(replica.oddities).toEqual([]);
    }
    expect(replica.losses.length).toBeGreaterThan(0);
    for (const event of replica.synthetic) expect(event).toMatchObject({ cpu: -1 });
    for (const exit of replica.synthetic.filter(({ type }) => type === 'exit'))
      expect(summary(exit)).toBe('synthetic exit');
    expect(helper.stderr).toMatch(/lost \d+ events/);
  });
});

/** Three of a kind. */
function some<Kind>(make: () => Kind): Kind[] {
  return [make(), make(), make()];
}

/** Names are left out: a new one that was lost is not told, and threads of the kernel change theirs as they like. */
function idsOf(processes: readonly Pick<Known, 'id'>[]): string[] {
  return processes.map(({ id }) => id).toSorted();
}

/** Waits until the helper lists what /proc shows. */
async function agreement(bus: Bus, deadline: number): Promise<void> {
  let wrong: string[] = [];
  const agrees = async (): Promise<boolean> => {
    wrong = await differences(bus);
    return wrong.length === 0;
  };
  await until('the list to be /proc', agrees, deadline).catch(() => expect(wrong).toEqual([]));
}

function summary(event: ProcessEvent): string {
  const how = event.synthetic === true ? 'synthetic ' : '';
  if (event.type !== 'exit') return how + event.type;
  const known = ['status', 'exitCode', 'signal', 'coreDumped'].filter((field) => field in event);
  return [`${how}exit`, ...known].join(' with ');
}

/** The state of a process as one letter, see proc_pid_stat(5). */
function stateOf(pid: number): string | undefined {
  return /State:\s+(\w)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
}

function seqOf(cursor: string): number {
  return Number(cursor.split(':')[1]);
}
