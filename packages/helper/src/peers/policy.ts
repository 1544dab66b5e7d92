/*
 * Who may see what: rules, and the first one that is for a peer decides, as in pg_hba.conf(5).
 *
 * Invariants: a peer that no rule is for is granted nothing; a rule behind the one that decides changes
 * nothing; a narrower rule never shows more.
 * Trade-off: rules do not add up, so that one line of the configuration tells all that somebody may see.
 */
import {
  fullGrant,
  ProcbusError,
  tells,
  type EventType,
  type Grant,
  type GrantedDetail,
  type Scope,
} from '@procbus/protocol';
import type { Peer } from './credentials.ts';
import type { Limits } from './quota.ts';

/** What is granted to a user, to the members of a group, or to everyone. */
export interface Rule {
  readonly who: { readonly user: number } | { readonly group: number } | 'everyone';
  readonly scope: Scope;
  readonly detail: GrantedDetail;
  readonly events: readonly EventType[];
  /** Whose figures are told: the helper's and all its clients', or those of the own connection. */
  readonly stats: Scope;
  /** What differs from the limits for all. */
  readonly limits: Partial<Limits>;
}

/** What a peer may see, and how much of the helper it may use. */
export interface Granted extends Grant {
  readonly stats: Scope;
  readonly limits: Limits;
}

/** The names behind ids, and the groups that a user would have if it logged in now. */
export interface Names {
  userName(uid: number): string | undefined;
  groupName(gid: number): string | undefined;
  groupsOf(userName: string): readonly number[];
}

/** So many groups are named in a refusal. */
const namedGroups = 16;

/** Decides what a peer is granted; undefined where no rule is for it. Root always sees all figures. */
export function decide(rules: readonly Rule[], defaults: Limits, peer: Peer): Granted | undefined {
  const rule = rules.find(({ who }) => isFor(who, peer));
  if (rule === undefined) return undefined;
  const { scope, detail, events, stats, limits } = rule;
  return { scope, detail, events, stats: peer.uid === 0 ? 'all' : stats, limits: { ...defaults, ...limits } };
}

function isFor(who: Rule['who'], peer: Peer): boolean {
  if (who === 'everyone') return true;
  return 'user' in who ? who.user === peer.uid : peer.groups.includes(who.group);
}

/** Whether there is a rule by which anybody is told of programs. */
export function tellsPrograms(rules: readonly Rule[]): boolean {
  return rules.some(({ detail }) => tells(detail, 'comm'));
}

/**
 * The rules where nobody has written any: root, the helper's own user and some groups see all.
 *
 * @param uid - of the helper
 * @param groups - that of the socket and that of the name procbus, where there are such
 */
export function defaultRules({ uid, groups }: { uid: number; groups: readonly number[] }): Rule[] {
  const all = { ...fullGrant, stats: 'all', limits: {} } as const;
  return [
    ...Array.from(new Set([0, uid]), (user): Rule => ({ who: { user }, ...all })),
    ...Array.from(new Set(groups), (group): Rule => ({ who: { group }, ...all })),
  ];
}

/** The error `not-granted` for a peer that no rule is for: who was considered, and what would help. */
export function refusal(rules: readonly Rule[], peer: Peer, names: Names): ProcbusError {
  const user = names.userName(peer.uid);
  const message = `no grant is for ${labelled(`uid ${peer.uid}`, user)} or a group it is in: ${groupList(peer, names)}`;
  return new ProcbusError('not-granted', message, { remedy: remedy(rules, peer, user, names) });
}

function groupList({ groups }: Peer, names: Names): string {
  if (groups.length === 0) return 'none';
  const named = groups.slice(0, namedGroups).map((gid) => labelled(`gid ${gid}`, names.groupName(gid)));
  const more = groups.length - named.length;
  return `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function labelled(id: string, name: string | undefined): string {
  return name === undefined ? id : `${id} (${name})`;
}

function remedy(rules: readonly Rule[], peer: Peer, user: string | undefined, names: Names): string {
  const groups = rules.flatMap(({ who }) => (who !== 'everyone' && 'group' in who ? [who.group] : []));
  const known = groups.flatMap((gid) => {
    const name = names.groupName(gid);
    return name === undefined ? [] : [{ gid, name }];
  });
  const [first] = known;
  if (user === undefined || first === undefined || peer.uid === 0) {
    const grant = `[[grant]] with user = ${user === undefined ? peer.uid : JSON.stringify(user)}`;
    return peer.uid === 0
      ? `Add a ${grant} to the configuration of procbusd.`
      : `Ask an administrator for a ${grant} in the configuration of procbusd.`;
  }
  const joined = new Set(names.groupsOf(user));
  const missed = known.find(({ gid }) => joined.has(gid));
  if (missed !== undefined) {
    return `${user} is in group ${missed.name}, but was not yet when this session began: log in again, or run: newgrp ${word(missed.name)}`;
  }
  const others = Array.from(new Set(known.slice(1).map(({ name }) => name)));
  const or = others.length === 0 ? '' : ` (or ${others.join(' or ')})`;
  return `Join group ${first.name}${or}: sudo usermod -aG ${word(first.name)} ${word(user)}, then log in again.`;
}

/** A word for a shell; directory services have groups such as `domain users`. */
function word(text: string): string {
  return /^[\w.@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
