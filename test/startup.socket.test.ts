/*
 * What procbus loads before its work: how fast it starts depends on that.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listenAs } from './support/impostor.ts';
import { procbus, temporaryDirectory } from './support/procbus.ts';
import { inRepository, run } from './support/program.ts';

/** The files that a command has loaded when it ends, by their paths in the repository. */
async function loadedBy(...args: string[]): Promise<string[]> {
  // Node tells what has been run of each file.
  const directory = temporaryDirectory();
  await run(process.execPath, [procbus, ...args], { env: { ...process.env, NODE_V8_COVERAGE: directory } });
  const [report = ''] = readdirSync(directory);
  const { result } = JSON.parse(readFileSync(join(directory, report), 'utf8')) as {
    result: { url: string }[];
  };
  const root = `file://${inRepository('')}`;
  return result.flatMap(({ url }) => (url.startsWith(root) ? [url.slice(root.length)] : []));
}

const inClient = (file: string): string => `packages/client/dist/${file}`;

describe('procbus', () => {
  test('loads for a watch neither yargs nor what other commands and seldom options need', async () => {
    const socket = await listenAs((connection) => connection.destroy());
    const loaded = await loadedBy('watch', '--events', 'exec', '--socket', socket);
    expect(loaded).toContain(inClient('cli/watch.js'));
    expect(loaded).toContain(inClient('connection.js'));
    expect(loaded.filter((file) => file.startsWith('node_modules/yargs/'))).toEqual([]);
    const others = ['completion', 'cursor-file', 'doctor', 'full-command-line', 'ps', 'stats'].map(
      (name) => `cli/${name}.js`,
    );
    for (const file of [...others, 'embedded.js']) expect(loaded).not.toContain(inClient(file));
  });

  test('loads yargs where arguments need it', async () => {
    expect(await loadedBy('watch', '--nonsense')).toContain('node_modules/yargs/index.mjs');
  });
});
