/*
 * What an event, and each delivery of it, costs the helper with few and with many subscribers, and with many processes.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { lostOf } from '../exact.ts';
import { Bus } from '../listeners.ts';
import { loadProgram, runLoad } from '../load.ts';
import { inRepository } from '../programs.ts';
import type { Report, Scenario } from '../scenario.ts';
import { sized } from '../size.ts';

const count = sized(4000, 200);
const subscribers = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].slice(0, sized(10, 3));
const processes = [100, 1000, 10_000, 30_000].slice(0, sized(4, 1));
/** Programs that subscribe at most; with more subscribers each has several connections. */
const mostPrograms = 8;

/** Microseconds of the helper's CPU time an event. */
async function costWith(bus: Bus): Promise<{ cost: number; lost: number }> {
  await runLoad('forks', 3 * count);
  await bus.accounts();
  const before = bus.helperTime();
  await runLoad('forks', count);
  const lost = lostOf(await bus.accounts(), 'forks', count);
  return { cost: ((bus.helperTime() - before) * 1e6) / (2 * count), lost };
}

async function withSubscribers(number: number): Promise<{ cost: number; lost: number }> {
  const bus = await Bus.start('--config', inRepository('bench/many.toml'));
  try {
    const programs = Math.min(number, mostPrograms);
    await bus.subscribe(programs, {}, { connections: number / programs });
    return await costWith(bus);
  } finally {
    await bus.stop();
  }
}

async function withProcesses(number: number): Promise<{ cost: number; lost: number }> {
  const crowd: ChildProcess = spawn(loadProgram(), ['crowd', String(number)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    await once(crowd.stdout as NodeJS.ReadableStream, 'data');
    return await withSubscribers(1);
  } finally {
    crowd.stdin?.end();
    await once(crowd, 'exit');
  }
}

async function run(progress: (text: string) => void): Promise<Report> {
  const figures: { what: string; number: number; cost: number; lost: number }[] = [];
  for (const number of subscribers) {
    progress(`${number} subscribers`);
    figures.push({ what: 'subscribers', number, ...(await withSubscribers(number)) });
  }
  const many = figures.slice();
  for (const number of processes) {
    progress(`${number} processes`);
    figures.push({ what: 'processes', number, ...(await withProcesses(number)) });
  }
  const perDelivery = many.map(({ number, cost }) => cost / number);
  const [first = Number.NaN, last = Number.NaN] = [perDelivery[0], perDelivery.at(-1)];
  const lost = figures.reduce((sum, figure) => sum + figure.lost, 0);
  return {
    columns: ['', 'µs an event', 'µs a delivery', 'told to be lost'],
    rows: figures.map((figure) => [
      `${figure.number.toLocaleString('en-US')} ${figure.what}`,
      figure.cost.toFixed(2),
      figure.what === 'subscribers' ? (figure.cost / figure.number).toFixed(3) : figure.cost.toFixed(2),
      String(figure.lost),
    ]),
    targets: [
      { what: 'a delivery costs less with 512 subscribers than with one', met: last < first },
      {
        what: 'no doubling of subscribers makes a delivery cost more than 10 % more',
        met: perDelivery.every((cost, at) => at === 0 || cost <= 1.1 * (perDelivery[at - 1] ?? 0)),
      },
      { what: `nothing is lost (${lost})`, met: lost === 0 },
    ],
    figures,
  };
}

/** The scenario `scale`. */
export const scale: Scenario = {
  name: 'scale',
  about:
    'CPU time of the helper for an event and a delivery, with 1 to 512 subscribers, and with up to 30,000 processes',
  run,
};
