/*
 * SIGHUP: the configuration is read again while everybody goes on; or the terminal has gone.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@procbus/client';
import { expect, test } from 'vitest';
import { canBeOthers, type Identity } from '../packages/helper/test/support/impersonate.ts';
import { makeGroup, makeUser, runAs, type TestUser } from './support/accounts.ts';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { procbus, procbusd, startHelper, temporaryDirectory, type RunningHelper } from './support/procbus.ts';
import { Program, run } from './support/program.ts';
import { Recorder } from './support/recorder.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

const done = 'read the configuration again';
const failed = 'the configuration is as it was before';

/** A helper with a file, and how to have it read another one. */
class Configured {
  readonly #file: string;
  readonly #helper: RunningHelper;

  static async start(text: string): Promise<Configured> {
    const file = join(temporaryDirectory(), 'procbusd.toml');
    writeFileSync(file, text);
    return new Configured(file, await startHelper('--config', file));
  }

  private constructor(file: string, helper: RunningHelper) {
    this.#file = file;
    this.#helper = helper;
  }

  get socket(): string {
    return this.#helper.socket;
  }

  get log(): string {
    return this.#helper.program.stderr;
  }

  /** Has it read another file, or see that there is none; resolves with what it said to that. */
  async reload(text: string | undefined): Promise<string> {
    const before = this.log.length;
    if (text === undefined) rmSync(this.#file);
    else writeFileSync(this.#file, text);
    this.#helper.program.child.kill('SIGHUP');
    return until('an answer', () => {
      const said = this.log.slice(before);
      return (said.includes(done) || said.includes(failed)) && said.replaceAll(this.#file, 'FILE');
    });
  }
}

const grant = (...lines: string[]): string => ['[[grant]]', ...lines, ''].join('\n');
const forRoot = grant('user = "root"');
const open = '[socket]\nmode = "0666"\n';

kernelSuite('SIGHUP', [needsProgram('gcc')], () => {
  test('has the helper read a good file; a bad one is named with line and column, and the old one stays', async () => {
    const helper = await Configured.start(`${open}${forRoot}`);
    await using bus = await connect({ socket: helper.socket });
    expect(await helper.reload(`${open}[limits]\nsubscriptions = 1\n${forRoot}`)).toBe(`procbusd: ${done}\n`);
    const bad = `${open}[limits]\nsubscriptions = "many"\nconections = 5\n${forRoot}`;
    const said = await helper.reload(bad);
    expect(said).toMatch(/^procbusd: FILE:4:17: .*\nprocbusd: FILE:5:1: .*connections/);
    expect(said).toContain(failed);
    expect(await helper.reload(undefined)).toMatch(/^procbusd: FILE: cannot be read: ENOENT.*\n(?:.*\n)*.*as it was before/);
    expect(await helper.reload('\0')).toContain(failed);

    // It goes by the last good one: for who is connected, and for who comes.
    for (const client of [bus, await connect({ socket: helper.socket })]) {
      await using events = client;
      void events;
    }
    await using other = await connect({ socket: helper.socket });
    await other.watch().ready;
    await expect(other.watch().ready).rejects.toMatchObject({ code: 'quota' });
  });
});
