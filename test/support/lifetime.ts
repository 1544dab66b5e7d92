/*
 * What tests make ends with them: with the one test, or with all of a file that share it.
 */
import { afterAll, beforeAll, onTestFinished } from 'vitest';

type CleanUp = () => unknown;

/** Of what is being made for a whole file; undefined while a test runs. */
let shared: CleanUp[] | undefined;

/** Cleans up when the test has ended that is running, or the last one of those that share what is being made. */
export function atEnd(cleanUp: CleanUp): void {
  if (shared === undefined) onTestFinished(async () => void (await cleanUp()));
  else shared.push(cleanUp);
}

/** Makes what all tests of a suite share, once. What was made until it failed is cleaned up as well. */
export function shareAmongTests(make: () => Promise<void>): void {
  const cleanUps: CleanUp[] = [];
  beforeAll(async () => {
    shared = cleanUps;
    try {
      await make();
    } finally {
      shared = undefined;
    }
  });
  afterAll(async () => {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  });
}
