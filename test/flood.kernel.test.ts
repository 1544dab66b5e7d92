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
import { procbus, startHelper, temporaryDirectory } from './support/procbus.ts';
import { Program } from './support/program.ts';
import { drain } from './support/reading.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

const kinds = ['connect', 'requests', 'filters', 'floodgates', 'halves', 'deaf'];

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
    const descriptors = descriptorsOf(helper.pid);
    const load = new Program('/bin/sh', ['-c', 'while :; do /bin/true; sleep 0.02; done']);

    const floods = kinds.map((kind) => runAs(flooder, [compiled('flooder'), socket, kind]));
    // It says once a second how it gets on.
    await until('the floods', () => floods.every(({ lines }) => lines.length >= 5), 60_000);
    const asked = performance.now();
    await bus.ping();
    expect(performance.now() - asked).toBeLessThan(5000);
    const guest = runAs(other, [process.execPath, procbus, 'watch', '--socket', socket]);
    await guest.says('watching');
    expect(await guest.stop('SIGINT')).toBe(130);
    const { helper: during } = await bus.stats();
    expect(during?.clients.find(({ uid }) => uid === flooder.uid)?.connections).toBeLessThanOrEqual(256);

    for (const { child } of floods) child.kill('SIGKILL');
    await Promise.all(floods.map(async ({ ended }) => ended));
    await until('the flooder to be forgotten', async () => {
      const { helper: after } = await bus.stats();
      return after?.clients.every(({ uid }) => uid !== flooder.uid);
    });
    await until('its descriptors to be closed', () => descriptorsOf(helper.pid) <= descriptors + 8);
    await load.stop('SIGKILL');
    const last = await bus.ping();
    await until('all to be read', () => (told.at(-1)?.seq ?? 0) >= last.seq);
    await watch.return();
    expect(await reading).toBeUndefined();
    const lost = told.filter(({ type }) => type === 'lost');
    const gaps = told.filter(({ seq }, at) => at > 0 && seq !== (told[at - 1]?.seq ?? 0) + 1);
    expect({ lost, gaps }).toEqual({ lost: [], gaps: [] });
  });
});
