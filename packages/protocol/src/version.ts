/*
 * Versions of the protocol, and the one that two sides agree on.
 */
import { ProcbusError } from './errors.ts';

/** The lowest and the highest protocol version spoken here. */
export const versions: VersionRange = [1, 1];
/** A lowest and a highest version. */
export type VersionRange = readonly [lowest: number, highest: number];

/**
 * The highest version in both ranges.
 *
 * @throws ProcbusError `version-mismatch`, naming both
 */
export function chooseVersion(ours: VersionRange, theirs: VersionRange): number {
  const version = Math.min(ours[1], theirs[1]);
  if (version >= Math.max(ours[0], theirs[0])) return version;
  throw new ProcbusError(
    'version-mismatch',
    `the helper speaks protocol version ${showRange(ours)}, the client ${showRange(theirs)}`,
    { remedy: `Upgrade the ${ours[1] < theirs[0] ? 'helper (procbusd)' : 'client (procbus)'}.` },
  );
}

function showRange([lowest, highest]: VersionRange): string {
  return lowest === highest ? String(lowest) : `${lowest} to ${highest}`;
}
