/*
 * A user who floods the helper in every way at once takes nothing from anybody else, and leaves nothing behind.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type StreamEvent } from '@procbus/client';
import { expect, test } from 'vitest';
import { makeUser, runAs } from './support/accounts.ts';
import { compiled } from './support/compiled.ts';
import { until } from './support/condition.ts';
import { residentOf } from './support/memory.ts';
import { procbus, startHelper, temporaryDirectory } from './support/procbus.ts';
import { Program } from './support/program.ts';
import { drain } from './support/reading.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

/** How many connections each kind of flood has; one that opens as many as it can comes last. */
const shares = { requests: 32, filters: 8, floodgates: 4, halves: 64, hoards: 64, deaf: 4 };

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

kernelSuite('a flood', ['gcc', 'setpriv', 'useradd'].map(needsProgram), () => {
  test('of all kinds at once harms nobody else, and is forgotten when it is over', async () => {
    const config = join(temporaryDirectory(), 'procbusd.toml');
    writeFileSync(config, '[socket]\nmode = "0666"\n[[grant]]\neveryone = true\n');
    const { program: helper, socket } = await startHelper('--config', config);
    const [flooder, other] = [makeUser(), makeUser()];
    await using bus = await connect({ socket });
    const told: StreamEvent[] = [];
    const watch = bus.watch();
    await watch.ready;
    const reading = drain(watch, told).catch((error: unknown) => error);
    const [descriptors, memory] = [descriptorsOf(helper.pid), residentOf(helper.pid)];
    const { helper: before } = await bus.stats();
    const load = new Program('/bin/sh', ['-c', 'while :; do /bin/true; sleep 0.02; done']);

    const flood = (...args: string[]): Program => runAs(flooder, [compiled('flooder'), socket, ...args]);
    const floods = Object.entries(shares).map(([kind, count]) => flood(kind, String(count)));
    const subscriptions = async (): Promise<number> => {
      const { helper: now } = await bus.stats();
      return now?.clients.find(({ uid }) => uid === flooder.uid)?.subscriptions ?? 0;
    };
    await until('the floods', async () => (await subscriptions()) > 200, 60_000);
    floods.push(flood('connect'));
    // It says once a second how it gets on.
    await until('all of them', () => floods.every(({ lines }) => lines.length >= 5), 60_000);
    const asked = performance.now();
    await bus.ping();
    expect(performance.now() - asked).toBeLessThan(5000);
    const guest = runAs(other, [process.execPath, procbus, 'watch', '--socket', socket]);
    await guest.says('watching');
    expect(await guest.stop('SIGINT')).toBe(130);
    const { helper: during } = await bus.stats();
    const flooding = during?.clients.find(({ uid }) => uid === flooder.uid);
    expect(flooding?.connections).toBeLessThanOrEqual(256);
    expect(flooding?.subscriptions).toBeGreaterThan(200);
    const peak = residentOf(helper.pid);

    for (const { child } of floods) child.kill('SIGKILL');
    await Promise.all(floods.map(async ({ ended }) => ended));
    // Connections that the kernel has queued are accepted in turn, also of those who have gone; behind ours are none.
    await (await connect({ socket })).close();
    await until('the flooder to be forgotten', async () => {
      const { helper: after } = await bus.stats();
      return after?.clients.length === 1 && after.connections.length === 1;
    });
    const { helper: after } = await bus.stats();
    // Subscriptions to everything are kept up for a while, but ours wants as much.
    expect(after?.kernelFilter).toEqual(before?.kernelFilter);
    expect(after?.clients).toMatchObject([{ uid: 0, connections: 1, subscriptions: 1 }]);
    await until('its descriptors to be closed', () => descriptorsOf(helper.pid) <= descriptors + 8);
    await load.stop('SIGKILL');
    const last = await bus.ping();
    await until('all to be read', () => (told.at(-1)?.seq ?? 0) >= last.seq);
    await watch.return();
    expect(await reading).toBeUndefined();
    const lost = told.filter(({ type }) => type === 'lost');
    const gaps = told.filter(({ seq }, at) => at > 0 && seq !== (told[at - 1]?.seq ?? 0) + 1);
    expect({ lost, gaps }).toEqual({ lost: [], gaps: [] });
    process.stderr.write(
      `a flood with ${JSON.stringify(flooding)}: ${told.length} events told beside it; ` +
        `helper ${memory.toFixed(0)} MiB before, ${peak.toFixed(0)} MiB during, ${residentOf(helper.pid).toFixed(0)} MiB after\n`,
    );
    expect(peak).toBeLessThan(memory + 512);
  });
});
