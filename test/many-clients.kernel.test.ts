/*
 * Many clients of one helper: those that read, one that stops for a while, one that never reads.
 */
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { connect, type StreamEvent, type Watch } from '@procbus/client';
import { clientMessage, packFrame, versions } from '@procbus/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { between, Listener } from './support/listener.ts';
import { startHelper, Watcher } from './support/procbus.ts';
import { run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

kernelSuite('many clients', [needsProgram('gcc'), needsProgram('python3')], () => {
  test('32 clients are told the identical sequence, while another never reads', async () => {
    const [listener, { socket }] = await Promise.all([Listener.start(), startHelper()]);
    await startDeafClient(socket);
    const buses = await Promise.all(Array.from({ length: 32 }, async () => connect({ socket })));
    const watches = buses.map((bus) => bus.watch());
    await Promise.all(watches.map(async ({ ready }) => ready));
    const collected = Promise.all(watches.map(collect));

    const first = await run('/bin/true', []);
    await run(actor(), ['fork-storm', '5000']);
    const last = await run('/bin/true', []);
    const { dropped, events: heard } = await listener.stop();
    await run(actor(), ['name', 'the end']);

    const sent = between(heard, first.pid, last.pid).filter(({ pid, tid }) => pid === tid);
    expect(dropped).toBe(0);
    const [one, ...others] = (await collected).map((events) => between(events, first.pid, last.pid));
    expect(one?.length).toBe(sent.length);
    expect(sent.length).toBeGreaterThanOrEqual(10_000);
    for (const other of others) expect(other).toEqual(one);
    await Promise.all(buses.map(async (bus) => bus.close()));
  });

  test('a client that is stopped loses exactly what it is told, and the others nothing', async () => {
    const { socket } = await startHelper();
    const [prompt, stopped] = await Promise.all([Watcher.start(socket), Watcher.start(socket)]);
    stopped.child.kill('SIGSTOP');
    // More than the helper keeps for one client, 4 MiB; and more than there are pids, so names mark the ends.
    await run(actor(), ['fork-storm', '70000']);
    await run(actor(), ['name', 'storm over']);
    await until('the end of the storm', () => named(prompt, 'storm over'), 60_000);
    stopped.child.kill('SIGCONT');
    const lost = await until('the loss', () => stopped.events.find((event) => event.type === 'lost'), 60_000);
    await run(actor(), ['name', 'later']);
    await until('a later event', () => named(stopped, 'later') && named(prompt, 'later'));

    expect(prompt.events.filter(({ type }) => type === 'lost')).toEqual([]);
    const missed = prompt.events.filter(({ seq }) => seq >= lost.from && seq <= lost.to);
    expect(missed.length).toBe(lost.count);
    expect(lost).toMatchObject({ where: 'queue', seq: lost.to });
    // All the rest it was told as the other was, from where both had begun to where both are known to have come.
    const start = Math.max(...[prompt, stopped].map(({ events }) => (events[0] as StreamEvent).seq));
    const end = (named(prompt, 'later') as StreamEvent).seq;
    const told = ({ seq }: StreamEvent): boolean => seq >= start && seq <= end;
    const rest = prompt.events.filter(
      (event) => told(event) && (event.seq < lost.from || event.seq > lost.to),
    );
    expect(stopped.events.filter((event) => told(event) && event.type !== 'lost')).toEqual(rest);
  });
});

/** The event of a process that took this name. */
function named({ events }: Watcher, name: string): StreamEvent | undefined {
  return events.findLast((event) => event.type === 'comm' && event.comm === name);
}

/** All events up to a process that names itself "the end". */
async function collect(watch: Watch): Promise<(StreamEvent & { pid?: number })[]> {
  const events: StreamEvent[] = [];
  for await (const event of watch) {
    events.push(event);
    if (event.type === 'comm' && event.comm === 'the end') break;
  }
  return events;
}

/** A client that subscribes to everything and reads nothing. */
async function startDeafClient(path: string): Promise<void> {
  const socket = connectSocket(path).pause();
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  socket.write(packFrame(clientMessage.hello({ versions, software: 'deaf' })));
  socket.write(packFrame(clientMessage.subscribe(1, {})));
}
