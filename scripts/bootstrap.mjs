/*
 * Makes a clone ready to run: installs what package-lock.json says and builds, where that is not
 * done yet. Quiet, and quick the second time.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`procbus needs Node 20.19 or later, and this is ${process.versions.node}`);
}

// npm keeps a copy of the lock file inside node_modules, but writes it even when a later step fails.
const stamp = 'node_modules/.procbus-installed';
const lock = readFileSync('package-lock.json', 'utf8');
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  process.stderr.write('procbus: installing its dependencies, once\n');
  // Nothing here needs a script of a dependency to run at install time.
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(stamp, lock);
}

run(process.execPath, ['node_modules/typescript/bin/tsc', '--build', 'packages/helper', 'packages/client']);

/** Runs a command; what it prints is shown only if it fails. */
function run(command, args) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`);
  fail(`${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
}

function fail(message) {
  process.stderr.write(`procbus: ${message}\n`);
  process.exit(1);
}
