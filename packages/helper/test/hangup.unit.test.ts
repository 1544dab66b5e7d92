import { expect, onTestFinished, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { onHangup } from '../src/hangup.ts';

// What happens when a terminal goes needs one: see test/reload.kernel.test.ts.
test('each SIGHUP asks to read the configuration again, as long as no terminal has gone', async () => {
  const before = new Set(process.listeners('SIGHUP'));
  onTestFinished(() => {
    for (const listener of process.listeners('SIGHUP')) {
      if (!before.has(listener)) process.off('SIGHUP', listener);
    }
  });
  const calls: string[] = [];
  onHangup(
    () => calls.push('reload'),
    () => calls.push('gone'),
  );
  for (let times = 1; times <= 3; times++) {
    process.kill(process.pid, 'SIGHUP');
    await until('the signal', () => calls.length === times);
  }
  expect(calls).toEqual(['reload', 'reload', 'reload']);
});
