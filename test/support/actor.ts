/*
 * test/programs/actor.c, compiled once: does one thing that the kernel tells as an event.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { inRepository } from './program.ts';

const source = inRepository('test/programs/actor.c');
const program = inRepository('node_modules/.cache/actor');

/** Path of the program. */
export function actor(): string {
  const compiled = statSync(program, { throwIfNoEntry: false });
  if (compiled === undefined || compiled.mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(inRepository('node_modules/.cache'), { recursive: true });
    execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-pthread', '-o', program, source]);
  }
  return program;
}
