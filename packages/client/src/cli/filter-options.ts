/*
 * The filter on the command line: an option for every condition, and one for its opposite.
 */
import {
  eventTypes,
  includes,
  parseFilter,
  ProcbusError,
  type Conditions,
  type FilterRequest,
} from '@procbus/protocol';
import type { Argv, Options } from 'yargs';
import { parseDuration } from './duration.ts';
import { scalarOption } from './scalar-option.ts';

/** An option: the field of a filter that it sets, and how its value is read. */
interface FilterOption {
  readonly flag: string;
  readonly field: keyof FilterRequest;
  readonly read: (values: readonly string[], flag: string) => unknown;
  readonly describe: string;
  /** Whether there is but one value, and no list. */
  readonly single?: true;
}

const names = (values: readonly string[]): string[] =>
  values.flatMap((value) => value.split(',')).map((name) => name.trim());
/** What is no number is left as it is: some fields take names, too, and the others say what they take. */
const numbers = (values: readonly string[]): (number | string)[] =>
  names(values).map((name) => (/^\d+$/.test(name) ? Number(name) : name));
/** Patterns may have commas in them. */
const patterns = (values: readonly string[]): readonly string[] => values;
const seconds = (values: readonly string[], flag: string): number =>
  parseDuration(flag, values[0] ?? '') / 1000;

const conditionOptions: readonly (FilterOption & { field: keyof Conditions })[] = [
  { flag: 'pid', field: 'pids', read: numbers, describe: 'Pids' },
  { flag: 'subtree', field: 'subtree', read: numbers, describe: 'Pids or ids, with all their descendants' },
  { flag: 'uid', field: 'uids', read: numbers, describe: 'Ids of real users' },
  { flag: 'user', field: 'users', read: names, describe: 'Names of real users' },
  { flag: 'comm', field: 'comm', read: patterns, describe: 'A pattern for the name, as in "make*"' },
  { flag: 'exe', field: 'exe', read: patterns, describe: 'A pattern for the path of the program' },
  { flag: 'args', field: 'args', read: patterns, describe: 'A pattern for all arguments, joined by spaces' },
  { flag: 'cgroup', field: 'cgroup', read: patterns, describe: 'A pattern for the path of the cgroup' },
  { flag: 'container', field: 'container', read: names, describe: 'Beginnings of ids, or any, or none' },
  { flag: 'exit', field: 'exit', read: numbers, describe: 'Ended so: failed, signaled, or exit codes' },
  {
    flag: 'min-runtime',
    field: 'minRuntime',
    read: seconds,
    describe: 'Lived at least so long, as in 2s or 5m',
    single: true,
  },
  {
    flag: 'max-runtime',
    field: 'maxRuntime',
    read: seconds,
    describe: 'Lived at most so long',
    single: true,
  },
];

const eventsOption: FilterOption = {
  flag: 'events',
  field: 'events',
  read: names,
  describe: `Only these: ${eventTypes.join(',')}`,
};

const includeOption: FilterOption = {
  flag: 'include',
  field: 'include',
  read: names,
  describe: `What to tell of the process: ${includes.join(',')}`,
};

/** Adds an option for each condition. The opposites are not listed; {@link filterHelp} tells of them. */
export function withFilter<Args>(yargs: Argv<Args>): Argv<Args> {
  for (const option of conditionOptions) {
    yargs.option(option.flag, { ...yargsOption(option), group: 'Filter:' });
    yargs.option(`not-${option.flag}`, { ...yargsOption(option), hidden: true });
  }
  return yargs;
}

/** Adds the option for what is to be told of each process. */
export function withInclude<Args>(yargs: Argv<Args>): Argv<Args> {
  return yargs.option(includeOption.flag, yargsOption(includeOption));
}

/** The same for a filter of events, which can say more. */
export function withEventFilter<Args>(yargs: Argv<Args>): Argv<Args> {
  withInclude(yargs);
  yargs.option(eventsOption.flag, { ...yargsOption(eventsOption), group: 'Filter:' });
  return withFilter(yargs);
}

/** To be said below the options. */
export const filterHelp: string =
  'All filters have to hold. Each takes a list (a,b), or a pattern with * ? [a-z], and may be given again: then any of them may hold. ' +
  'Each has an opposite, which leaves out what it finds: --not-pid, --not-comm and so on.\n';

/**
 * The filter that was asked for.
 *
 * @param args - the options of the command by their names
 * @throws ProcbusError `usage` or `bad-filter`, naming the option
 */
export function readFilter(args: Readonly<Record<string, unknown>>): FilterRequest {
  const filter: Record<string, unknown> = readOptions(
    [...conditionOptions, eventsOption, includeOption],
    '',
    args,
  );
  const not = readOptions(conditionOptions, 'not-', args);
  if (Object.keys(not).length > 0) filter['not'] = not;
  try {
    parseFilter(filter);
  } catch (error) {
    throw error instanceof ProcbusError ? namingOption(error) : error;
  }
  return filter;
}

function readOptions(
  options: readonly FilterOption[],
  prefix: string,
  args: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const { flag, field, read } of options) {
    const value = args[prefix + flag] as string | readonly string[] | undefined;
    if (value === undefined) continue;
    fields[field] = read(typeof value === 'string' ? [value] : value, `--${prefix}${flag}`);
  }
  return fields;
}

function yargsOption({ describe, single }: FilterOption): Options {
  return single === true ? scalarOption(describe) : { type: 'string', array: true, nargs: 1, describe };
}

/** The same error, with the option in the place of the field. */
function namingOption({ code, message, remedy }: ProcbusError): ProcbusError {
  const named = message.replace(/^(not\.)?(\w+):/, (whole, not: string | undefined, name: string) => {
    const option = [...conditionOptions, eventsOption, includeOption].find(({ field }) => field === name);
    return option === undefined ? whole : `--${not === undefined ? '' : 'not-'}${option.flag}:`;
  });
  return new ProcbusError(code, named, remedy === undefined ? {} : { remedy });
}
