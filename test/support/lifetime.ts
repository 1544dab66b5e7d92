/*
 * What tests make ends with them: with the one test, or with all of a file that share it.
 */
import { beforeAll, onTestFinished } from 'vitest';

type CleanUp = () => unknown;

/** Of what is being made for a whole file; undefined while a test runs. */
let shared: CleanUp[] | undefined;

/** Cleans up when the test has ended that is running, or the last one of those that share what is being made. */
export function atEnd(cleanUp: CleanUp): void {
  if (shared === undefined) onTestFinished(async () => void (await cleanUp()));
  else shared.push(cleanUp);
}

/** Makes what all tests of a suite share, once. */
export function shareAmongTests(make: () => Promise<void>): void {
  beforeAll(async () => {
    const cleanUps: CleanUp[] = [];
    shared = cleanUps;
    try {
      await make();
    } finally {
      shared = undefined;
    }
    return async () => {
      for (const cleanUp of cleanUps.toReversed()) await cleanUp();
    };
  });
}
