/*
 * The benchmark: `npm run bench [-- NAME…]`. Prints a table for each scenario, writes all figures as
 * JSON, and ends with 1 where a target is missed; with `--smoke` it only looks whether all of it works.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { cost } from './scenarios/cost.ts';
import { fanout, selective } from './scenarios/fanout.ts';
import { filters } from './scenarios/filters.ts';
import { floods } from './scenarios/floods.ts';
import { footprint } from './scenarios/footprint.ts';
import { inTime } from './scenarios/in-time.ts';
import { latency } from './scenarios/latency.ts';
import { loss } from './scenarios/loss.ts';
import { relay } from './scenarios/relay.ts';
import { scale } from './scenarios/scale.ts';
import { startup } from './scenarios/startup.ts';
import { threads } from './scenarios/threads.ts';
import { isSmoke } from './size.ts';
import { inRepository } from './programs.ts';
import { showReport, type Report, type Scenario } from './scenario.ts';

const scenarios: readonly Scenario[] = [
  cost,
  relay,
  fanout,
  selective,
  threads,
  loss,
  latency,
  footprint,
  scale,
  startup,
  filters,
  floods,
  inTime,
];

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.find((name) => scenarios.every((scenario) => scenario.name !== name));
  if (unknown !== undefined) {
    const known = scenarios.map(({ name, about }) => `  ${name.padEnd(10)}${about}\n`).join('');
    process.stderr.write(`There is no scenario "${unknown}". Known are\n${known}`);
    return 64;
  }
  const chosen = scenarios.filter(({ name }) => names.length === 0 || names.includes(name));
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, Linux ${release()}, Node ${process.versions.node}`;
  process.stdout.write(`${machine}\n`);

  const file = inRepository('node_modules/.cache/bench.json');
  mkdirSync(inRepository('node_modules/.cache'), { recursive: true });
  const reports: Record<string, Report> = {};
  for (const { name, about, run } of chosen) {
    process.stdout.write(`\n${name}: ${about}\n`);
    const report = await run((progress) => process.stderr.write(`  ${progress}\n`));
    reports[name] = report;
    process.stdout.write(showReport(report));
    // Each time: one that fails does not take with it what an hour has measured.
    writeFileSync(file, `${JSON.stringify({ machine, time: new Date().toISOString(), reports }, null, 2)}\n`);
  }
  process.stdout.write(`\nAll figures: node_modules/.cache/bench.json\n`);
  if (isSmoke) return 0;
  return Object.values(reports).every(({ targets }) => targets.every(({ met }) => met)) ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2).filter((argument) => argument !== '--smoke'));
