/*
 * A grant: what one peer may see of the machine.
 */
import { isMap } from './codec.ts';
import type { Conditions } from './conditions.ts';
import { ProcbusError } from './errors.ts';
import { eventTypes, type EventType } from './event.ts';
import type { Include } from './process.ts';

/** Whose processes are seen: everybody's, or those whose real user is the peer's. */
export const scopes = ['all', 'own'] as const;

/** One of {@link scopes}. */
export type Scope = (typeof scopes)[number];

/** How much of a process is seen, each with all before it: its numbers; its name and program; its arguments. */
export const grantedDetails = ['ids', 'names', 'args'] as const;

/** One of {@link grantedDetails}. */
export type GrantedDetail = (typeof grantedDetails)[number];

/** What a peer may see, as the helper's hello tells it. */
export interface Grant {
  readonly scope: Scope;
  readonly detail: GrantedDetail;
  /** Types of events; others are not told, whatever a filter asks for. */
  readonly events: readonly EventType[];
}

/** A grant of everything. */
export const fullGrant: Grant = { scope: 'all', detail: 'args', events: eventTypes };

/**
 * Reads a grant from the wire. Types of events that are not known are left out.
 *
 * @throws ProcbusError `bad-message`
 */
export function parseGrant(value: unknown): Grant {
  const { scope, detail, events } = isMap(value) ? value : {};
  if (!isOneOf(scopes, scope) || !isOneOf(grantedDetails, detail) || !Array.isArray(events)) {
    throw new ProcbusError('bad-message', 'a message is malformed: a grant without scope, detail or events');
  }
  return { scope, detail, events: events.filter((type) => isOneOf(eventTypes, type)) };
}

/** The detail that each fact of a process is a part of. */
const detailOf: Readonly<Record<Include | 'comm', GrantedDetail>> = {
  user: 'ids',
  comm: 'names',
  exe: 'names',
  cgroup: 'names',
  container: 'names',
  ancestors: 'names',
  args: 'args',
  cwd: 'args',
};

/** Whether a grant of some detail tells a fact of a process, or lets a filter ask for it. */
export function tells(detail: GrantedDetail, fact: Include | keyof Conditions): boolean {
  const needed = (detailOf as Readonly<Partial<Record<string, GrantedDetail>>>)[fact] ?? 'ids';
  return grantedDetails.indexOf(needed) <= grantedDetails.indexOf(detail);
}

function isOneOf<Name extends string>(names: readonly Name[], value: unknown): value is Name {
  return (names as readonly unknown[]).includes(value);
}
