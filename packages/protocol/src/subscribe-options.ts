/*
 * How a subscription wants to be told, beside what its filter lets through.
 */
import { isMap } from './codec.ts';
import { formatCursor, parseCursor, type Cursor } from './cursor.ts';
import { malformed } from './elements.ts';
import { nanoseconds } from './event.ts';

/** What happens to a subscriber that does not read in time: it loses events, or its connection. */
export const lagPolicies = ['drop', 'disconnect'] as const;

/** One of {@link lagPolicies}. */
export type LagPolicy = (typeof lagPolicies)[number];

/** How a subscription wants to be told. */
export interface SubscribeOptions {
  /** Begin behind this place in the stream, with what the journal holds from there on. `gone` if it is not held. */
  readonly since?: Cursor | undefined;
  /** Or begin with what happened at this time, in ns of CLOCK_MONOTONIC, and later. */
  readonly sinceTime?: bigint | undefined;
  /** ms for which an event may be held back, so that one message tells of many. */
  readonly maxDelay?: number | undefined;
  /** Without it events are dropped, counted and told as lost. */
  readonly onLag?: LagPolicy | undefined;
}

/** The delay of a subscription that asks for none, in ms. */
export const defaultMaxDelay = 32;
/** The longest that can be asked for, in ms. */
export const longestMaxDelay = 10_000;

/** Lays out options for the wire; undefined where there are none. */
export function subscribeOptionsToWire(options: SubscribeOptions): object | undefined {
  const { since, sinceTime, maxDelay, onLag } = options;
  const given = {
    ...(since === undefined ? {} : { since: formatCursor(since) }),
    ...(sinceTime === undefined ? {} : { sinceTime }),
    ...(maxDelay === undefined ? {} : { maxDelay }),
    ...(onLag === undefined ? {} : { onLag }),
  };
  return Object.keys(given).length === 0 ? undefined : given;
}

/**
 * Reads options from the wire. Keys that are not known are ignored.
 *
 * @throws ProcbusError `bad-message`
 */
export function parseSubscribeOptions(value: unknown): SubscribeOptions {
  if (value === undefined || value === null) return {};
  if (!isMap(value)) throw malformed('options are not a map');
  const { since, sinceTime, maxDelay, onLag } = value;
  if (since !== undefined && typeof since !== 'string') throw malformed('since is not a string');
  if (since !== undefined && sinceTime !== undefined)
    throw malformed('since and sinceTime exclude each other');
  if (maxDelay !== undefined && !isDelay(maxDelay)) {
    throw malformed(`maxDelay is not a number of ms up to ${longestMaxDelay}`);
  }
  if (onLag !== undefined && !isLagPolicy(onLag)) throw malformed('onLag is neither drop nor disconnect');
  return {
    ...(since === undefined ? {} : { since: parseCursor(since) }),
    ...(sinceTime === undefined ? {} : { sinceTime: nanoseconds(sinceTime) }),
    ...(maxDelay === undefined ? {} : { maxDelay }),
    ...(onLag === undefined ? {} : { onLag }),
  };
}

function isDelay(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= longestMaxDelay;
}

function isLagPolicy(value: unknown): value is LagPolicy {
  return (lagPolicies as readonly unknown[]).includes(value);
}
