/*
 * The connector on the real kernel: what it hears, and what it does when it hears nothing any more.
 */
import { spawnSync } from 'node:child_process';
import type { EventType } from '@procbus/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { actor } from '../../../test/support/actor.ts';
import { until } from '../../../test/support/condition.ts';
import { Program, run } from '../../../test/support/program.ts';
import { kernelSuite, needsProgram } from '../../../test/support/requirements.ts';
import { Connector } from '../src/kernel/connector.ts';
import { KernelStream, type Batch } from '../src/kernel/kernel-stream.ts';
import { ownInterest } from '../src/kernel/socket-filter.ts';
import { send } from '../src/libc.ts';

/** PROC_CN_MCAST_IGNORE, as another program would send it before Linux 6.6: there once for each that listens. */
function switchOff(connector: Connector): void {
  const words = Uint32Array.of(40, 3, 0, 0, 1, 1, 0, 0, 4, 2);
  for (let times = 0; times < 64 && connector.hears([]); times++) {
    send(connector.fd, new Uint8Array(words.buffer));
  }
}

function open(receiveBuffer = 1 << 20): Connector {
  const connector = new Connector(receiveBuffer);
  onTestFinished(() => connector.close());
  return connector;
}

kernelSuite('the connector', [], () => {
  test('hears itself, and tells nobody', () => {
    const connector = open();
    const events: unknown[] = [];
    expect(connector.hears(events as never)).toBe(true);
    expect(events).toEqual([]);
  });

  test('knows that events were switched off, and brings them back', () => {
    const connector = open();
    switchOff(connector);
    expect(connector.hears([])).toBe(false);
    connector.listen();
    expect(connector.hears([])).toBe(true);
  });

  test('a stream that hears nothing makes sure, subscribes again, and tells of the hole', async () => {
    const connector = open();
    connector.setInterest({ processes: new Set(['exec']), threads: new Set() });
    const batches: Batch[] = [];
    const stream = new KernelStream(connector, (batch) => batches.push(batch), 50);
    onTestFinished(() => stream.close());
    switchOff(connector);
    await until('the hole', () => batches.some(({ lost }) => lost === 'unknown'));
    const { pid } = await run('/bin/true', []);
    await until('an event', () => batches.some(({ events }) => events.some((event) => event.pid === pid)));
    // Quiet is not deaf: no further hole is told while our own events come.
    expect(batches.filter(({ lost }) => lost !== 0)).toHaveLength(1);
    expect(batches.flatMap(({ events }) => events).filter(({ type }) => type === 'comm')).toEqual([]);
  });

  test('a stream that catches up hands on, before it returns, all that the kernel has told', async () => {
    const connector = open();
    connector.setInterest(ownInterest);
    const batches: Batch[] = [];
    const stream = new KernelStream(connector, (batch) => batches.push(batch));
    onTestFinished(() => stream.close());
    const of = (pid: number): string[] =>
      batches.flatMap(({ events }) => events.filter((event) => event.pid === pid).map(({ type }) => type));
    stream.catchUp();
    batches.length = 0;
    stream.catchUp();
    // Node runs this one without turning the event loop, which would hand on as well.
    const { pid } = spawnSync('/bin/true');
    expect(of(pid)).toEqual([]);
    stream.catchUp();
    expect(of(pid)).toEqual(['fork', 'exec', 'exit']);
    // And what comes later, as ever.
    const later = await run('/bin/true', []);
    await until('its end', () => of(later.pid).includes('exit'));
    expect(of(pid)).toEqual(['fork', 'exec', 'exit']);
    expect(of(later.pid)).toEqual(['fork', 'exec', 'exit']);
  });

  test('a stream that catches up in a storm does so all the same, and goes on behind it', async () => {
    const connector = open();
    connector.setInterest(ownInterest);
    const batches: Batch[] = [];
    const stream = new KernelStream(connector, (batch) => batches.push(batch));
    onTestFinished(() => stream.close());
    const storm = new Program('/bin/sh', ['-c', 'for i in $(seq 300); do (exit 3); done']);
    let ended = false;
    void storm.ended.then(() => (ended = true));
    await until('the storm to have passed', () => {
      stream.catchUp();
      return ended;
    });
    stream.catchUp();
    expect(batches.filter(({ lost }) => lost !== 0)).toEqual([]);
    const events = batches.flatMap((batch) => batch.events);
    const times = (type: EventType, pid: number): number =>
      events.filter(
        (event) => event.type === type && (event.type === 'fork' ? event.ppid : event.pid) === pid,
      ).length;
    expect(times('exit', storm.pid)).toBe(1);
    // And one for `seq`, where the shell has none of its own.
    expect(times('fork', storm.pid)).toBeGreaterThanOrEqual(300);
  });

  test.skipIf(needsProgram('gcc') !== undefined)(
    'a stream that catches up does so with more events than a batch holds',
    () => {
      const connector = open(1 << 26);
      connector.setInterest(ownInterest);
      const batches: Batch[] = [];
      const stream = new KernelStream(connector, (batch) => batches.push(batch));
      onTestFinished(() => stream.close());
      const { pid } = spawnSync(actor(), ['fork-storm', '5000']);
      expect(batches).toEqual([]);
      stream.catchUp();
      expect(batches.length).toBeGreaterThan(2);
      expect(batches.filter(({ lost }) => lost !== 0)).toEqual([]);
      const events = batches.flatMap((batch) => batch.events);
      expect(events.filter((event) => event.type === 'fork' && event.ppid === pid)).toHaveLength(5000);
      expect(events.filter((event) => event.type === 'exit' && event.pid === pid)).toHaveLength(1);
    },
  );
});
