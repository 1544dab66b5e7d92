/*
 * The connector on the real kernel: what it hears, and what it does when it hears nothing any more.
 */
import { expect, onTestFinished, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { run } from '../../../test/support/program.ts';
import { kernelSuite } from '../../../test/support/requirements.ts';
import { Connector } from '../src/kernel/connector.ts';
import { KernelStream, type Batch } from '../src/kernel/kernel-stream.ts';
import { send } from '../src/libc.ts';

/** PROC_CN_MCAST_IGNORE, as another program would send it before Linux 6.6. */
function switchOff(connector: Connector): void {
  const words = Uint32Array.of(40, 3, 0, 0, 1, 1, 0, 0, 4, 2);
  send(connector.fd, new Uint8Array(words.buffer));
}

function open(): Connector {
  const connector = new Connector(1 << 20);
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
});
