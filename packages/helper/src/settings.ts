/*
 * What the helper goes by: the configuration file, and the command line, which wins.
 */
import { defaultSocketPath } from '@procbus/protocol';
import { defaultConfig, defaultConfigPath, defaultMode, readConfig, type Config } from './config/config.ts';
import { defaultReceiveBuffer } from './kernel/connector.ts';
import { groupId } from './libc.ts';
import type { Options } from './options.ts';
import { defaultRules, type Rule } from './peers/policy.ts';
import type { Limits } from './peers/quota.ts';

/** The group whose members see all where nothing is configured. */
const usualGroup = 'procbus';

/** All that can be set, with nothing left out. */
export interface Settings {
  readonly socket: { readonly path: string; readonly group: string | undefined; readonly mode: number };
  /** Bytes. */
  readonly receiveBuffer: number;
  /** Bytes. */
  readonly journalSize: number;
  /** Bytes that may wait for one client. */
  readonly outboxLimit: number;
  readonly limits: Limits;
  readonly rules: readonly Rule[];
}

/**
 * Reads the configuration file, anew each time that it is called.
 *
 * @throws ProcbusError `config`
 */
export function readSettings(options: Options): Settings {
  const { socket, kernel, journal, limits, rules } = configOf(options);
  const { outbox, ...limitsOfAll } = limits;
  const group = options.group ?? socket.group;
  return {
    socket: {
      path: options.socket ?? socket.path ?? defaultSocketPath,
      group,
      mode: options.mode ?? socket.mode ?? defaultMode,
    },
    receiveBuffer: options.receiveBuffer ?? kernel.receiveBuffer ?? defaultReceiveBuffer,
    journalSize: journal.size,
    outboxLimit: outbox,
    limits: limitsOfAll,
    rules: rules ?? defaultRules({ uid: process.geteuid?.() ?? 0, groups: idsOf(group, usualGroup) }),
  };
}

/** A private helper serves who started it, and nobody else: it has no file. */
function configOf({ connection, config }: Options): Config {
  if (connection !== undefined) return defaultConfig;
  return readConfig(config ?? defaultConfigPath, config !== undefined);
}

function idsOf(...names: readonly (string | undefined)[]): number[] {
  return names
    .map((name) => (name === undefined ? undefined : groupId(name)))
    .filter((gid) => gid !== undefined);
}
