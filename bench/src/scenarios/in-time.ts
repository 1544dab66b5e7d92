/*
 * How many programs that live for half a millisecond are known by their path and arguments: beside
 * what extrace(1) and forkstat(8) catch of the very same programs.
 */
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Watch } from '@procbus/client';
import { loadProgram } from '../load.ts';
import { finish, isInstalled, start, startHelper, until, type Running } from '../programs.ts';
import type { Report, Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

const count = sized(10_000, 200);
const program = '/bin/true';
const marker = '/bin/echo';

/** Another program that looks on, and prints a line for each exec. */
class Onlooker {
  readonly name: string;
  readonly #running: Running;
  readonly #output: string;

  constructor(name: string, args: readonly string[], directory: string) {
    this.name = name;
    this.#output = join(directory, name);
    this.#running = start(name, args, openSync(this.#output, 'w'));
  }

  /** How many programs of a path it has named. */
  named(path: string): number {
    return readFileSync(this.#output, 'latin1').match(new RegExp(`${path}(?: |$)`, 'gm'))?.length ?? 0;
  }

  /** Waits until it has seen what runs now. */
  async catchUp(): Promise<void> {
    const before = this.named(marker);
    await until(this.name, async () => {
      await finish(marker, []);
      return this.named(marker) > before;
    });
  }

  async stop(): Promise<void> {
    await this.#running.stop();
  }
}

/** Counts the programs that were read whole, until the watch ends. */
async function countWhole(watch: Watch): Promise<number> {
  let whole = 0;
  for await (const event of watch) {
    if (event.type !== 'exec') continue;
    const { args, exe } = event.process;
    if (args?.[0] === marker) break;
    if (args?.[0] === program && exe !== undefined) whole++;
  }
  return whole;
}

/** How many each has named of `count` programs that ran one after the other. */
async function measure(storm: boolean): Promise<Record<string, number>> {
  const directory = mkdtempSync(join(tmpdir(), 'procbus-bench-'));
  const helper = await startHelper();
  const onlookers = [
    ...(isInstalled('extrace') ? [new Onlooker('extrace', ['-q', '-f'], directory)] : []),
    ...(isInstalled('forkstat') ? [new Onlooker('forkstat', ['-e', 'exec', '-x'], directory)] : []),
  ];
  const bus = await connect({ socket: helper.socket });
  const load = storm ? start(loadProgram(), ['forks', '0']) : undefined;
  try {
    for (const onlooker of onlookers) await onlooker.catchUp();
    const watch = bus.watch({ events: ['exec'], include: ['exe', 'args'] });
    await watch.ready;
    const whole = countWhole(watch);
    await finish(loadProgram(), ['execs', String(count), program]);
    await finish(marker, []);
    const figures: Record<string, number> = { procbus: await whole };
    for (const onlooker of onlookers) {
      await onlooker.catchUp();
      figures[onlooker.name] = onlooker.named(program);
    }
    return figures;
  } finally {
    await load?.stop();
    await bus.close();
    for (const onlooker of onlookers) await onlooker.stop();
    await helper.stop();
    rmSync(directory, { recursive: true });
  }
}

async function run(progress: (text: string) => void): Promise<Report> {
  progress(`${count} × ${program}, alone`);
  const alone = await measure(false);
  progress(`${count} × ${program}, beside a fork storm`);
  const besideStorm = await measure(true);
  const share = (named: number | undefined): string => `${(((named ?? 0) / count) * 100).toFixed(2)} %`;
  const others = Object.keys(alone).filter((name) => name !== 'procbus');
  const best = (figures: Record<string, number>): number =>
    Math.max(0, ...others.map((name) => figures[name] ?? 0));
  const target = (what: string, figures: Record<string, number>, least: number): Report['targets'] => [
    { what: `${what}: at least ${least * 100} %`, met: (figures['procbus'] ?? 0) >= least * count },
    { what: `${what}: more than the others`, met: (figures['procbus'] ?? 0) > best(figures) },
  ];
  return {
    columns: ['named in time', 'alone', 'beside a fork storm'],
    rows: Object.keys(alone).map((name) => [name, share(alone[name]), share(besideStorm[name])]),
    targets: [...target('alone', alone, 0.999), ...target('beside a fork storm', besideStorm, 0.99)],
    figures: { count, alone, besideStorm },
  };
}

/** The scenario `in-time`. */
export const inTime: Scenario = {
  name: 'in-time',
  about: `path and arguments of ${count.toLocaleString('en-US')} × ${program}, one after the other`,
  run,
};
