/*
 * How long `procbus watch` takes from its start to the first event that it prints.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { Bus } from '../listeners.ts';
import { loadProgram } from '../load.ts';
import { inRepository, start } from '../programs.ts';
import { alternate, ratio, spread } from '../rounds.ts';
import type { Scenario } from '../scenario.ts';

/** ms until a command has printed something, or ended. */
async function timeOf(args: readonly string[]): Promise<number> {
  const begun = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  const took = performance.now() - begun;
  child.kill('SIGKILL');
  return took;
}

/** The scenario `start`. */
export const startup: Scenario = {
  name: 'start',
  about: 'from the start of procbus watch to the first event that it prints, beside node -e 0',
  run: async (progress) => {
    const bus = await Bus.start();
    // There is always something to be told.
    const load = start(loadProgram(), ['paced', '0', '500']);
    const watch = [inRepository('packages/client/bin/procbus.js'), 'watch', '--socket', bus.socket];
    try {
      await promisify(execFile)(process.execPath, ['-e', '0']);
      const figures = await alternate(
        [async () => ({ 'node -e 0': await timeOf(['-e', '0']), 'procbus watch': await timeOf(watch) })],
        progress,
      );
      const times = ratio(figures['procbus watch'], figures['node -e 0']);
      return {
        columns: ['', 'ms', '÷ node -e 0'],
        rows: Object.entries(figures).map(([name, values]) => [
          name,
          spread(values, 0),
          ratio(values, figures['node -e 0']).toFixed(2),
        ]),
        targets: [{ what: 'at most 3 times node -e 0', met: times <= 3 }],
        figures,
      };
    } finally {
      await load.stop();
      await bus.stop();
    }
  },
};
