import { compiled } from './compiled.ts';

/** Path of `test/programs/actor.c`, compiled: it does one thing that the kernel tells as an event. */
export function actor(): string {
  return compiled('actor');
}
