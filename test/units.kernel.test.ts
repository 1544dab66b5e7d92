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

/** Of 100: what systemd-analyze(1) shows as 1.5. */
const exposure = 15;

kernelSuite('systemd units', [needsProgram('systemd-analyze')], () => {
  test('are valid, but for the program that is not installed here', async () => {
    const directory = temporaryDirectory();
    cpSync(inRepository('systemd'), directory, { recursive: true });
    const service = join(directory, 'procbus.service');
    const installed = readFileSync(service, 'utf8').replaceAll(
      '/usr/sbin/procbusd',
      execFileSync('which', ['true'], { encoding: 'utf8' }).trim(),
    );
    writeFileSync(service, installed);
    const verified = await run('systemd-analyze', [
      'verify',
      '--man=no',
      join(directory, 'procbus.socket'),
      service,
    ]);
    expect(verified.stderr + verified.stdout).toBe('');
    expect(await verified.ended).toBe(0);
  });

  test('leave little to whoever takes the service over', async () => {
    const unit = inRepository('systemd/procbus.service');
    const analysed = await run('systemd-analyze', [
      'security',
      '--offline=true',
      `--threshold=${exposure}`,
      unit,
    ]);
    expect(analysed.stdout).toContain('Overall exposure level');
    expect([await analysed.ended, analysed.stderr]).toEqual([0, '']);
  });
});
