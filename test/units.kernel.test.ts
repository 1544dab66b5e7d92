/*
 * The units of systemd, checked by systemd itself.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from './support/procbus.ts';
import { inRepository, run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

kernelSuite('systemd units', [needsProgram('systemd-analyze')], () => {
  test('are valid, but for the program that is not installed here', async () => {
    const directory = temporaryDirectory();
    cpSync(inRepository('systemd'), directory, { recursive: true });
    const service = join(directory, 'procbus.service');
    const installed = readFileSync(service, 'utf8').replace(
      '/usr/sbin/procbusd',
      execFileSync('which', ['true'], { encoding: 'utf8' }).trim(),
    );
    writeFileSync(service, installed);
    const verified = await run('systemd-analyze', ['verify', join(directory, 'procbus.socket'), service]);
    expect(verified.stderr + verified.stdout).toBe('');
    expect(await verified.ended).toBe(0);
  });
});
