/*
 * A snapshot and the events from then on are the whole: nothing missed in between, nothing told twice.
 */
import { connect } from '@procbus/client';
import { expect, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { differences, livingProcesses } from './support/machine.ts';
import { startHelper } from './support/procbus.ts';
import { Program, run } from './support/program.ts';
import { byId, knownOf, Replica } from './support/replica.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

kernelSuite('snapshots', [needsProgram('gcc')], () => {
  test('50 snapshots amid storms of 5,000 processes come out at /proc when the events since are added', async () => {
    const { socket } = await startHelper();
    await using bus = await connect({ socket });
    for (let repetition = 0; repetition < 10; repetition++) {
      const storm = new Program(actor(), ['crowd', '5000', '200']);
      const replicas: Replica[] = [];
      // No two at the same stage of a storm.
      for (let at = 100 * repetition; at < 5000; at += 1000) {
        await storm.says(`at ${at}\n`);
        const snapshot = await bus.listAndWatch();
        const crowd = snapshot.processes.filter(({ ppid }) => ppid === storm.pid);
        if (at >= 200) expect(crowd.length).toBeGreaterThan(100);
        replicas.push(new Replica(snapshot));
      }
      await storm.ended;

      await run(actor(), ['name', `end-${repetition}`]);
      for (const replica of replicas) {
        await replica.sees(
          'the end',
          ({ type, process }) => type === 'exit' && process.comm === `end-${repetition}`,
        );
        expect(replica.oddities).toEqual([]);
        expect(replica.losses).toEqual([]);
        await until('the replica to be /proc', () => unlikeProc(replica).length === 0, 10_000).catch(() =>
          expect(unlikeProc(replica)).toEqual([]),
        );
      }
      // And at one number of the stream they are what is listed then, whatever the machine does meanwhile.
      const list = await bus.list();
      for (const replica of replicas) {
        expect(await replica.at(list.cursor)).toEqual(byId(list.processes.map(knownOf)));
        await replica.end();
      }
    }
    await until('the list to be /proc', async () => (await differences(bus)).length === 0, 10_000);
  });
});

/** What a replica has that /proc has not, and the other way round. */
function unlikeProc({ living }: Replica): string[] {
  const told = new Map([...living.values()].map(({ pid, comm }) => [pid, comm]));
  const wrong: string[] = [];
  for (const { pid, comm } of livingProcesses().values()) {
    if (!told.has(pid)) wrong.push(`${pid} ${comm} was never told`);
    else if (comm !== undefined && told.get(pid) !== comm)
      wrong.push(`${pid} ${comm} was told as ${told.get(pid)}`);
    told.delete(pid);
  }
  for (const [pid, comm] of told) wrong.push(`${pid} ${comm} lives on`);
  return wrong;
}
