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
      // An exit that was doubtful may be told a little later than it was sent.
      await until('all that was sent', () => countOf(watcher, first, last).total >= sent);
      const { lost, total } = countOf(watcher, first, last);
      expect(lost).toBeGreaterThan(0);
      expect(total).toBe(sent);
      let next = (watcher.events[0] as StreamEvent).seq;
      for (const event of watcher.events) {
        if (event.type === 'lost') {
          expect(event.where).toBe('kernel');
          expect(event.to - event.from + 1).toBe(event.count);
        }
        expect(event.type === 'lost' ? event.from : event.seq).toBe(next);
        next = event.seq + 1;
      }
    }
    expect(helper.program.stderr).toMatch(/lost \d+ events/);
  });
});

/**
 * A process that has been told whole to all, as those before and after it, and no loss in between: so
 * that it is clear what was lost before it, and what behind.
 */
async function calmMarker(watchers: readonly Watcher[]): Promise<Program> {
  return until('a process that is told whole', async () => {
    const before = await run('/bin/true', []);
    const marker = await run('/bin/true', []);
    const after = await run('/bin/true', []);
    const isTold = (): boolean => watchers.every((watcher) => watcher.hasEnded(after.pid));
    await until('the last exit', isTold, 2_000).catch(() => undefined);
    const isCalm = watchers.every((watcher) => {
      const [first, last] = [watcher.of(before.pid)[0], watcher.of(after.pid).at(-1)];
      const inside = watcher.events.slice(
        watcher.events.indexOf(first as StreamEvent),
        watcher.events.indexOf(last as StreamEvent),
      );
      const whole = [before, marker, after].every(({ pid }) => watcher.of(pid).length === 3);
      return whole && inside.every(({ type }) => type !== 'lost');
    });
    return isCalm ? marker : undefined;
  });
}

/** Events of the time between two markers, and how many were lost in it. */
function countOf(watcher: Watcher, first: Program, last: Program): { lost: number; total: number } {
  const timeOf = (pid: number, wanted: string): bigint =>
    BigInt(watcher.of(pid).find(({ type }) => type === wanted)?.kernelTime ?? 0);
  const [start, end] = [timeOf(first.pid, 'exit'), timeOf(last.pid, 'fork')];
  const inside = watcher.events.filter(
    ({ kernelTime }) => BigInt(kernelTime) > start && BigInt(kernelTime) < end,
  );
  let [received, lost] = [0, 0];
  for (const event of inside) {
    if (event.type === 'lost') lost += event.count;
    // What the helper found out by itself about what was lost, the kernel did not send.
    else if (event.synthetic !== true) received++;
  }
  return { lost, total: received + lost };
}

function ofProcesses(events: readonly StreamEvent[]): Exclude<StreamEvent, { type: 'lost' }>[] {
  return events.filter((event) => event.type !== 'lost');
}
