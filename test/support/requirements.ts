/*
 * What a test of the kernel ring needs of the machine. Where it is missing, the test is skipped and
 * its title says why.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { describe } from 'vitest';

/** A suite of the kernel ring; skipped, with the reasons, where root or one of `needs` is missing. */
export function kernelSuite(title: string, needs: readonly (string | undefined)[], body: () => void): void {
  suite(title, [needsRoot(), ...needs], body);
}

/** A suite that is skipped, with the reasons, where one of `needs` is missing. */
export function suite(title: string, needs: readonly (string | undefined)[], body: () => void): void {
  const missing = needs.filter((reason) => reason !== undefined);
  if (missing.length === 0) {
    describe(title, body);
    return;
  }
  // The default reporter counts what is skipped and does not name it.
  process.stderr.write(`skipped: ${title}: ${missing.join('; ')}\n`);
  describe.skip(`${title} (skipped: ${missing.join('; ')})`, body);
}

export function needsRoot(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'needs root';
}

/** A reason to skip where a program, by name or path, is not installed. */
export function needsProgram(name: string): string | undefined {
  const directories = isAbsolute(name) ? [''] : (process.env['PATH'] ?? '').split(delimiter);
  for (const directory of directories) {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return undefined;
    } catch {
      continue;
    }
  }
  return `needs ${name}`;
}

/** A Python 3 that has the msgpack module, or the reason to skip. */
export const pythonWithMsgpack: string | undefined = ['python3', '/usr/bin/python3'].find(
  (python) => spawnSync(python, ['-c', 'import msgpack']).status === 0,
);

export function needsMsgpack(): string | undefined {
  return pythonWithMsgpack === undefined ? 'needs the msgpack module of Python (python3-msgpack)' : undefined;
}
