/*
 * Nothing missing, nothing double: procbus beside a listener that shares no code with it.
 */
import type { StreamEvent } from '@procbus/client';
import { expect, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { between, key, Listener } from './support/listener.ts';
import { startHelper, Watcher } from './support/procbus.ts';
import { run, type Program } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

kernelSuite('completeness', [needsProgram('gcc'), needsProgram('python3')], () => {
  test('2,000 fork, exec and exit are told as an independent listener hears them', async () => {
    const [listener, helper] = await Promise.all([Listener.start(), startHelper()]);
    const watcher = await Watcher.start(helper.socket);

    const first = await run('/bin/true', []);
    await run('/bin/sh', ['-c', 'i=0; while [ $i -lt 2000 ]; do /bin/true; i=$((i+1)); done']);
    const last = await run('/bin/true', []);
    await until('the last exit', () => watcher.hasEnded(last.pid), 60_000);

    const heard = await listener.stop();
    expect(heard.dropped).toBe(0);
    const reference = between(heard.events, first.pid, last.pid)
      .filter(({ type, pid, tid }) => pid === tid || type === 'coredump')
      .map(key);
    const told = between(ofProcesses(watcher.events), first.pid, last.pid).map(key);
    expect(told.toSorted()).toEqual(reference.toSorted());
    expect(told.length).toBeGreaterThanOrEqual(6_000);

    const numbers = watcher.events.map(({ seq }) => seq);
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] as number) + index));
  });

  test('with a queue of 4 KiB, received and lost add up to what was sent', async () => {
    const [listener, helper] = await Promise.all([Listener.start(), startHelper('--receive-buffer', '4096')]);
    const watchers = await Promise.all([Watcher.start(helper.socket), Watcher.start(helper.socket)]);

    const first = await calmMarker(watchers);
    await Promise.all([run(actor(), ['fork-storm', '5000']), run(actor(), ['fork-storm', '5000'])]);
    const last = await calmMarker(watchers);

    const heard = await listener.stop();
    expect(heard.dropped).toBe(0);
    const sent = between(heard.events, first.pid, last.pid).filter(({ pid, tid }) => pid === tid).length;
    for (const watcher of watchers) {
      const told = between(
        watcher.events as { type: string; pid?: number }[],
        first.pid,
        last.pid,
      ) as StreamEvent[];
      let received = 0;
      let lost = 0;
      let next = (told[0] as StreamEvent).seq;
      for (const event of told) {
        if (event.type === 'lost') {
          expect(event.where).toBe('kernel');
          expect(event.to - event.from + 1).toBe(event.count);
          lost += event.count;
          expect(event.from).toBe(next);
        } else {
          // What the helper finds out by itself about what was lost, the kernel did not send.
          if (event.synthetic !== true) received++;
          expect(event.seq).toBe(next);
        }
        next = event.seq + 1;
      }
      expect(lost).toBeGreaterThan(0);
      expect(received + lost).toBe(sent);
    }
    expect(helper.program.stderr).toMatch(/lost \d+ events/);
  });
});

/** A process whose whole life has been told to all: the first one may still fall into the storm. */
async function calmMarker(watchers: readonly Watcher[]): Promise<Program> {
  return until('a process that is told whole', async () => {
    const marker = await run('/bin/true', []);
    const later = await run('/bin/true', []);
    const isTold = (pid: number): boolean => watchers.every((watcher) => watcher.hasEnded(pid));
    await until('a later exit', () => isTold(later.pid), 2_000).catch(() => undefined);
    const whole = watchers.every((watcher) => watcher.of(marker.pid).length === 3);
    return whole && isTold(marker.pid) ? marker : undefined;
  });
}

function ofProcesses(events: readonly StreamEvent[]): Exclude<StreamEvent, { type: 'lost' }>[] {
  return events.filter((event) => event.type !== 'lost');
}
