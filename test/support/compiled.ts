/*
 * Programs in C that tests run, compiled once.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { inRepository } from './program.ts';

/** Path of the program that is compiled from `test/programs/NAME.c`. */
export function compiled(name: string): string {
  const source = inRepository(`test/programs/${name}.c`);
  const program = inRepository(`node_modules/.cache/${name}`);
  const made = statSync(program, { throwIfNoEntry: false });
  if (made === undefined || made.mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(inRepository('node_modules/.cache'), { recursive: true });
    execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-pthread', '-o', program, source]);
  }
  return program;
}
