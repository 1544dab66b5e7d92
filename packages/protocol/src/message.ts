/*
 * Messages: the arrays that travel in frames, and their shapes.
 *
 * Everything that comes from a peer passes through `parseClientMessage` or `readHelperMessage`
 * before any other code sees it. Elements behind the known ones are ignored, so that a later
 * version can add some.
 */
import { unpack, wireInteger } from './codec.ts';
import { count, id, isId, malformed, map, text } from './elements.ts';
import { ProcbusError } from './errors.ts';
import { EventReader } from './event-reader.ts';
import { lostPlaces, nanoseconds, type LostWhere } from './event.ts';
import { parseGrant, type Grant } from './grant.ts';
import type { Loss } from './loss.ts';
import { parseSubscribeOptions, subscribeOptionsToWire, type SubscribeOptions } from './subscribe-options.ts';
import { Unpacker } from './unpacker.ts';
import type { VersionRange } from './version.ts';
import { parseWireError, wireErrorElements, type WireError } from './wire-error.ts';

/** What a client says of itself. */
export interface ClientHello {
  readonly versions: VersionRange;
  /** A name and version for the helper's log, such as `procbus/0.1.0`. */
  readonly software: string;
}

/** What the helper says of itself, and of what this peer is granted. */
export interface HelperHello {
  /** The version that both sides speak from here on. */
  readonly version: number;
  readonly versions: VersionRange;
  readonly software: string;
  /** Names this run of the helper: sequence numbers of different epochs do not compare. */
  readonly epoch: string;
  /** The last sequence number given out so far. */
  readonly seq: number;
  /** The kernel's random id of this boot. */
  readonly bootId: string;
  /** ns to add to a kernel time for the time since 1970, as of now. */
  readonly clockOffset: bigint;
  readonly grant: Grant;
}

/** What a client may send after its hello. */
export type ClientMessage =
  | { readonly type: 'hello'; readonly hello: ClientHello }
  | {
      readonly type: 'subscribe';
      readonly request: number;
      readonly filter: unknown;
      readonly options: SubscribeOptions;
    }
  | { readonly type: 'unsubscribe'; readonly request: number; readonly subscription: number }
  | {
      readonly type: 'snapshot';
      readonly request: number;
      readonly filter: unknown;
      /** Whether processes that have ended not long ago are wanted too. */
      readonly ended: boolean;
    }
  | { readonly type: 'ping'; readonly request: number }
  | { readonly type: 'stats'; readonly request: number }
  | { readonly type: 'goodbye' };

/** What a helper may send. */
export type HelperMessage =
  | { readonly type: 'hello'; readonly hello: HelperHello }
  | { readonly type: 'result'; readonly request: number; readonly value: unknown }
  | { readonly type: 'error'; readonly request: number | null; readonly error: WireError }
  | {
      readonly type: 'events';
      readonly subscription: number;
      /** The stream has been looked through up to here for this subscription. */
      readonly seq: number;
      readonly clockOffset: bigint;
      readonly events: EventReader;
    }
  /** A part of a snapshot; the result that follows the last one says when it is true. */
  | { readonly type: 'processes'; readonly request: number; readonly processes: readonly unknown[] }
  | { readonly type: 'lost'; readonly subscription: number; readonly lost: Loss }
  | { readonly type: 'goodbye'; readonly error: WireError }
  | { readonly type: 'unknown' };

/** What `ping` is answered with. */
export interface StreamPosition {
  readonly seq: number;
  readonly clockOffset: bigint;
}

/** What `subscribe` is answered with: what follows `seq` is told. */
export interface SubscriptionStart extends StreamPosition {
  /** For each pid of a `subtree` in the filter the id of the process that it stands for. */
  readonly roots: Readonly<Record<string, string>>;
}

/** What `snapshot` is answered with, behind all of its parts. */
export interface SnapshotPosition extends StreamPosition {
  /** ns of CLOCK_MONOTONIC: when the snapshot is true, with all events up to `seq` and none behind. */
  readonly kernelTime: bigint;
}

/** Lays out a message of the helper. */
export const helperMessage = {
  hello: (hello: HelperHello): unknown[] => ['hello', { ...hello, seq: wireInteger(hello.seq) }],
  /** The value of a result. */
  position: ({ seq, clockOffset }: StreamPosition): unknown => ({ seq: wireInteger(seq), clockOffset }),
  /** The value of the result of `subscribe`. */
  subscriptionStart: ({ roots, ...position }: SubscriptionStart): unknown => ({
    ...position,
    seq: wireInteger(position.seq),
    ...(Object.keys(roots).length === 0 ? {} : { roots }),
  }),
  /** All but the last element, the packed array of processes. */
  processesHead: (request: number): unknown[] => ['processes', request],
  snapshotPosition: (position: SnapshotPosition): unknown => ({
    ...position,
    seq: wireInteger(position.seq),
  }),
  result: (request: number, value: unknown): unknown[] => ['result', request, value],
  error: (request: number | null, error: WireError): unknown[] => [
    'error',
    request,
    ...wireErrorElements(error),
  ],
  lost: (subscription: number, lost: Loss): unknown[] => [
    'lost',
    subscription,
    lost.clockOffset,
    lost.kernelTime,
    lost.where,
    wireInteger(lost.count),
    wireInteger(lost.from),
    wireInteger(lost.to),
  ],
  goodbye: (error: WireError): unknown[] => ['goodbye', ...wireErrorElements(error)],
};

/** Lays out a message of a client. */
export const clientMessage = {
  hello: (hello: ClientHello): unknown[] => ['hello', hello],
  subscribe: (request: number, filter: object, options: SubscribeOptions = {}): unknown[] => {
    const given = subscribeOptionsToWire(options);
    return given === undefined ? ['subscribe', request, filter] : ['subscribe', request, filter, given];
  },
  unsubscribe: (request: number, subscription: number): unknown[] => ['unsubscribe', request, subscription],
  snapshot: (request: number, filter: object, ended: boolean): unknown[] => [
    'snapshot',
    request,
    filter,
    ended,
  ],
  ping: (request: number): unknown[] => ['ping', request],
  stats: (request: number): unknown[] => ['stats', request],
  goodbye: (): unknown[] => ['goodbye'],
};

/**
 * Checks the shape of a message from a client.
 *
 * @throws ProcbusError `bad-message`, or `unknown-message` for a type this version does not have
 */
export function parseClientMessage(value: unknown): ClientMessage {
  const [type, first, second, third] = messageElements(value);
  switch (type) {
    case 'hello': {
      const { versions: range, software } = map(first, 'hello');
      return { type, hello: { versions: versionRange(range), software: text(software, 'software') } };
    }
    case 'subscribe':
      return { type, request: id(first, 'request'), filter: second, options: parseSubscribeOptions(third) };
    case 'unsubscribe':
      return { type, request: id(first, 'request'), subscription: id(second, 'subscription') };
    case 'snapshot':
      if (typeof third !== 'boolean') throw malformed('ended is not true or false');
      return { type, request: id(first, 'request'), filter: second, ended: third };
    case 'ping':
    case 'stats':
      return { type, request: id(first, 'request') };
    case 'goodbye':
      return { type };
    default:
      throw new ProcbusError('unknown-message', `no message type "${type.slice(0, 40)}"`, {
        remedy: 'Known types are hello, subscribe, unsubscribe, snapshot, ping, stats and goodbye.',
      });
  }
}

/** The request id of a message that is otherwise malformed, so that its error can name it. */
export function requestOf(value: unknown): number | null {
  const request: unknown = Array.isArray(value) ? value[1] : undefined;
  return isId(request) ? request : null;
}

/**
 * Reads a message from a helper. Its events are read by whoever wants them.
 *
 * @throws ProcbusError `bad-frame` or `bad-message`
 */
export function readHelperMessage(payload: Buffer): HelperMessage {
  return readEvents(new Unpacker(payload)) ?? parseHelperMessage(unpack(payload));
}

/** Reads a message of events, which most are; undefined for all others. */
function readEvents(unpacker: Unpacker): HelperMessage | undefined {
  if (!unpacker.isArray) return undefined;
  const elements = unpacker.array();
  if (elements === 0 || !unpacker.isText || unpacker.text() !== 'events') return undefined;
  if (elements < 5) throw malformed('events without a list');
  const subscription = id(unpacker.integer(), 'subscription');
  const seq = count(unpacker.integer(), 'seq');
  const clockOffset = unpacker.int64();
  // Whoever reads the list finds where it ends; a later version may say more behind it.
  const list = elements === 5 ? unpacker.rest() : unpacker.skip();
  return { type: 'events', subscription, seq, clockOffset, events: new EventReader(list, clockOffset) };
}

/**
 * Checks the shape of a message from a helper, other than events. A type that this version does not know is no error.
 *
 * @throws ProcbusError `bad-message`
 */
export function parseHelperMessage(value: unknown): HelperMessage {
  const elements = messageElements(value);
  const [type, first, second] = elements;
  switch (type) {
    case 'hello':
      return { type, hello: helperHello(map(first, 'hello')) };
    case 'result':
      return { type, request: id(first, 'request'), value: second };
    case 'error': {
      const request = first === null ? null : id(first, 'request');
      return { type, request, error: parseWireError(elements.slice(2)) };
    }
    case 'processes':
      if (!Array.isArray(second)) throw malformed('processes are not a list');
      return { type, request: id(first, 'request'), processes: second as unknown[] };
    case 'lost':
      return { type, subscription: id(first, 'subscription'), lost: parseLoss(elements.slice(2)) };
    case 'goodbye':
      return { type, error: parseWireError(elements.slice(1)) };
    default:
      return { type: 'unknown' };
  }
}

/** Reads the answer to `subscribe`. */
export function parseSubscriptionStart(value: unknown): SubscriptionStart {
  const { roots = {} } = map(value, 'result');
  const ids = Object.entries(map(roots, 'roots')).map(([pid, root]) => [pid, text(root, 'a root')] as const);
  return { ...parseStreamPosition(value), roots: Object.fromEntries(ids) };
}

/** Reads the answer to `ping`. */
export function parseStreamPosition(value: unknown): StreamPosition {
  const { seq, clockOffset } = map(value, 'result');
  return { seq: count(seq, 'seq'), clockOffset: nanoseconds(clockOffset) };
}

/** Reads the answer to `snapshot`. */
export function parseSnapshotPosition(value: unknown): SnapshotPosition {
  const { kernelTime } = map(value, 'result');
  return { ...parseStreamPosition(value), kernelTime: nanoseconds(kernelTime) };
}

function helperHello(hello: Record<string, unknown>): HelperHello {
  return {
    version: count(hello['version'], 'version'),
    versions: versionRange(hello['versions']),
    software: text(hello['software'], 'software'),
    epoch: text(hello['epoch'], 'epoch'),
    seq: count(hello['seq'], 'seq'),
    bootId: text(hello['bootId'], 'bootId'),
    clockOffset: nanoseconds(hello['clockOffset']),
    grant: parseGrant(hello['grant']),
  };
}

function parseLoss([offset, time, where, lost, from, to]: unknown[]): Loss {
  if (!isLostPlace(where)) throw malformed('lost: nowhere known');
  return {
    clockOffset: nanoseconds(offset),
    kernelTime: nanoseconds(time),
    where,
    count: count(lost, 'count'),
    from: count(from, 'from'),
    to: count(to, 'to'),
  };
}

function isLostPlace(value: unknown): value is LostWhere {
  return (lostPlaces as readonly unknown[]).includes(value);
}

function messageElements(value: unknown): [string, ...unknown[]] {
  if (!Array.isArray(value) || typeof value[0] !== 'string') {
    throw malformed('not a list that begins with a type');
  }
  return value as [string, ...unknown[]];
}

function versionRange(value: unknown): VersionRange {
  const [lowest, highest] = Array.isArray(value) ? (value as unknown[]) : [];
  if (isId(lowest) && isId(highest) && lowest <= highest) return [lowest, highest];
  throw malformed('versions is not a lowest and a highest version');
}
