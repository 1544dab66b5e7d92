/*
 * What a configuration grants, for people: a line for each grant.
 */
import { eventTypes } from '@procbus/protocol';
import { groupNameOf, userNameOf } from '../libc.ts';
import { decide, type Rule } from '../peers/policy.ts';
import { defaultConfigPath, readConfig, type Config } from './config.ts';
import { formatBytes } from './readers.ts';

/**
 * Says that the configuration file is right, and what it grants to whom.
 *
 * @param path - the usual one where it is undefined, and then there may be no file
 * @throws ProcbusError `config`
 */
export function checkConfig(path: string | undefined): string {
  const file = path ?? defaultConfigPath;
  return `${file}: ok\n${summary(readConfig(file, path !== undefined))}\n`;
}

/** A line for each grant, and one for those without. */
function summary({ rules, limits }: Config): string {
  if (rules === undefined) {
    return `no [[grant]]: root, procbusd's own user, the socket's group and group procbus see all`;
  }
  const rows = rules.map((rule, index) => [whoText(rule.who), ...grantTexts(rule, rules.slice(0, index))]);
  const root = { pid: 0, uid: 0, gid: 0, groups: [0] };
  if (decide(rules, limits, root) === undefined) rows.push(['others, root too', 'nothing']);
  else if (!rules.some(({ who }) => who === 'everyone')) rows.push(['others', 'nothing']);
  return aligned(rows).join('\n');
}

function whoText(who: Rule['who']): string {
  if (who === 'everyone') return who;
  return 'user' in who
    ? `user ${labelled(who.user, userNameOf(who.user))}`
    : `group ${labelled(who.group, groupNameOf(who.group))}`;
}

function labelled(id: number, name: string | undefined): string {
  return name === undefined ? String(id) : `${name} (${id})`;
}

function grantTexts({ who, scope, detail, events, stats, limits }: Rule, before: readonly Rule[]): string[] {
  const types = events.length === eventTypes.length ? 'all' : events.join(',') || 'none';
  const own = Object.entries(limits).map(([name, value]) => limitText(name, value));
  const isReached = !before.some((rule) => rule.who === 'everyone' || isSame(rule.who, who));
  return [
    `scope ${scope}`,
    `detail ${detail}`,
    `events ${types}`,
    `stats ${stats}`,
    [...own, ...(isReached ? [] : ['never reached: a grant above decides'])].join(', '),
  ];
}

function isSame(a: Rule['who'], b: Rule['who']): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function limitText(name: string, value: number): string {
  const key = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return `${key} ${name === 'queuedBytes' ? formatBytes(value) : value}`;
}

/** Rows as lines, their columns under each other. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    // The last cell of a row may be as long as it likes.
    for (const [column, cell] of row.slice(0, -1).entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    }
  }
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
