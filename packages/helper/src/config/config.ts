/*
 * The configuration file of procbusd.
 *
 * Invariant: what comes out is whole and right, or nothing comes out: a helper never starts with, or goes over to,
 * a half of what an administrator meant.
 */
import { readFileSync } from 'node:fs';
import { ProcbusError } from '@procbus/protocol';
import type { Rule } from '../peers/policy.ts';
import { defaultLimits, type Limits } from '../peers/quota.ts';
import { readSections } from './sections.ts';
import { parseToml, type Place } from './toml.ts';

/** Where the file is, unless the command line says otherwise. */
export const defaultConfigPath = '/etc/procbus/procbusd.toml';

/** Permissions of the socket where nobody says otherwise. */
export const defaultMode = 0o660;

/** What the file says, and the defaults where it says nothing; users and groups by their ids. */
export interface Config {
  readonly socket: {
    readonly path?: string | undefined;
    /** The name of a group that there is. */
    readonly group?: string | undefined;
    readonly mode?: number | undefined;
  };
  readonly kernel: {
    /** Bytes. */
    readonly receiveBuffer?: number | undefined;
  };
  readonly journal: {
    /** Bytes; 0 for no journal. */
    readonly size: number;
  };
  /** Those of each user, and the bytes that may wait for one client. */
  readonly limits: Limits & { readonly outbox: number };
  /** Undefined where the file has no grants. */
  readonly rules: readonly Rule[] | undefined;
}

const MiB = 2 ** 20;

/** The configuration of a helper that has no file. */
export const defaultConfig: Config = {
  socket: {},
  kernel: {},
  journal: { size: 16 * MiB },
  limits: { ...defaultLimits, outbox: 4 * MiB },
  rules: undefined,
};

/** What helps where the file cannot be read. */
const remedies: Readonly<Partial<Record<string, string>>> = {
  ENOENT: 'Correct the path, or leave it out for the defaults.',
  EACCES: 'Let the user that procbusd runs as read the file and enter its directories.',
};

/**
 * Reads the file, and looks up the users and groups in it.
 *
 * @param required - whether the file has to exist; else the defaults hold where it does not
 * @throws ProcbusError `config`, with the place of all that is wrong
 */
export function readConfig(path: string, required: boolean): Config {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !required) return defaultConfig;
    const remedy = code === undefined ? undefined : remedies[code];
    throw new ProcbusError('config', `${path}: cannot be read: ${message}`, { remedy, cause });
  }
  return parseConfig(path, bytes);
}

/**
 * Makes a configuration of what a file holds.
 *
 * @param path - for messages
 * @throws ProcbusError `config`
 */
export function parseConfig(path: string, bytes: Uint8Array): Config {
  const faults: Fault[] = [];
  const report = (place: Place, message: string, remedy?: string): void => {
    faults.push({ place, message, remedy });
  };
  const root = parseToml(decode(bytes, report), report);
  const sections = root === undefined ? undefined : readSections(root, report);
  if (sections === undefined || faults.length > 0) throw configError(path, faults);
  return {
    socket: sections.socket,
    kernel: sections.kernel,
    journal: { ...defaultConfig.journal, ...sections.journal },
    limits: { ...defaultConfig.limits, ...sections.limits },
    rules: sections.rules,
  };
}

/** Something wrong in the file. */
interface Fault {
  readonly place: Place;
  readonly message: string;
  readonly remedy: string | undefined;
}

/** One error of all faults: a line for each, in the order of the file. */
function configError(path: string, faults: readonly Fault[]): ProcbusError {
  const inOrder = faults.toSorted(({ place: a }, { place: b }) => a.line - b.line || a.column - b.column);
  const lines = inOrder.map(({ place, message }) => `${path}:${place.line}:${place.column}: ${message}`);
  const helps = new Set(inOrder.flatMap(({ remedy }) => remedy ?? []));
  return new ProcbusError('config', lines.join('\n'), {
    remedy: helps.size === 0 ? undefined : [...helps].join('\n'),
  });
}

/** The text of a file, without a byte order mark. */
function decode(bytes: Uint8Array, report: (place: Place, message: string) => void): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const lines = new TextDecoder().decode(bytes).split('\n');
    const line = lines.findIndex((text) => text.includes('\ufffd'));
    report({ line: line + 1, column: (lines[line] ?? '').indexOf('\ufffd') + 1 }, 'the file is not UTF-8');
    return '';
  }
}
