/*
 * Loss: a hole in what one subscription is told, counted where it happened and told in its place.
 */
import { isoTime, type LostEvent, type LostWhere } from './event.ts';

/** A loss as it travels and as it is kept until it can be told. */
export interface Loss {
  readonly where: LostWhere;
  /** See {@link LostEvent.count}; 0 where it is not known or not told. */
  readonly count: number;
  /** The first and the last sequence number of the hole. */
  readonly from: number;
  readonly to: number;
  /** When it was noticed, in ns of CLOCK_MONOTONIC, and what to add for the time since 1970. */
  readonly kernelTime: bigint;
  readonly clockOffset: bigint;
}

/**
 * Two holes of one kind, told as one: the counts add up, the range covers both. Where nobody knows how
 * many are missing from one of them, nobody knows of both.
 */
export function joinLosses(earlier: Loss, later: Loss): Loss {
  const isUnknown = later.where !== 'queue' && (earlier.count === 0 || later.count === 0);
  return {
    ...later,
    count: isUnknown ? 0 : earlier.count + later.count,
    from: Math.min(earlier.from, later.from),
    to: Math.max(earlier.to, later.to),
  };
}

/** The event that a subscriber is given for a loss. */
export function lossToEvent({ where, count, from, to, kernelTime, clockOffset }: Loss): LostEvent {
  return {
    type: 'lost',
    seq: to,
    time: isoTime(kernelTime + clockOffset),
    kernelTime: String(kernelTime),
    where,
    count,
    from,
    to,
  };
}
