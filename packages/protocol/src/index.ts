/**
 * The wire protocol of procbus: what the helper and its clients share.
 *
 * From bytes to meaning: `frame` splits a stream, `structure` bounds a payload, `codec` unpacks it,
 * `message` checks its shape, `event`, `filter` and `grant` say what is told to whom.
 * `docs/protocol.md` is the specification.
 *
 * @packageDocumentation
 */
export * from './address.ts';
export * from './codec.ts';
export * from './conditions.ts';
export * from './cursor.ts';
export * from './errors.ts';
export * from './event.ts';
export * from './event-reader.ts';
export * from './event-writer.ts';
export * from './events-frame.ts';
export * from './filter.ts';
export * from './frame.ts';
export * from './glob.ts';
export * from './grant.ts';
export * from './loss.ts';
export * from './message.ts';
export * from './process.ts';
export * from './process-writer.ts';
export * from './process-record.ts';
export * from './structure.ts';
export * from './subscribe-options.ts';
export * from './version.ts';
export * from './wait-status.ts';
export type { WireError } from './wire-error.ts';
