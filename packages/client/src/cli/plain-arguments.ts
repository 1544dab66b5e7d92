/*
 * Arguments with nothing wrong, read by the parser of yargs alone: to load yargs, and to have it make a help that nobody
 * asked for, takes longer than all else that a command does before its work.
 *
 * Invariant: what is read here, yargs would read as the same; what it would refuse or answer itself is not read here.
 */
import type { Options } from 'yargs';
import parser, { type Configuration, type Options as ParserOptions } from 'yargs-parser';
import { optionTable, type Command } from './command.ts';

/** How arguments are read, here and by yargs. */
export const parserConfiguration: Partial<Configuration> = {
  'boolean-negation': false,
  'dot-notation': false,
};

/** What may be said of an option here. Of the rest only yargs knows what it means. */
const understood: ReadonlySet<string> = new Set<keyof Options>([
  'type',
  'array',
  'nargs',
  'requiresArg',
  'default',
  'coerce',
  // For the help.
  'describe',
  'group',
  'hidden',
]);

/**
 * Reads the arguments of a command.
 *
 * @returns undefined where yargs has to look at them: they ask for help, or something is wrong
 */
export function plainArguments(
  command: Command,
  args: readonly string[],
): Record<string, unknown> | undefined {
  const { options, operands } = optionTable(command);
  const isUnderstood = [...options.values()].every((option) =>
    Object.keys(option).every((property) => understood.has(property)),
  );
  if (!isUnderstood || operands.size > 0) return undefined;
  const { argv, error, aliases } = parser.detailed([...args], parserOptions(options));
  const { _: words, ...values } = argv;
  // An alias is the same name in camel case; what is not known has them, too.
  const known = new Set([...options.keys()].flatMap((name) => [name].concat(aliases[name] ?? [])));
  const isPlain =
    error === null && words.length === 0 && Object.keys(values).every((name) => known.has(name));
  return isPlain ? values : undefined;
}

/** What yargs would tell the parser of these options. */
function parserOptions(options: ReadonlyMap<string, Options>): ParserOptions {
  const namesWhere = (holds: (option: Options) => boolean): string[] =>
    [...options].flatMap(([name, option]) => (holds(option) ? [name] : []));
  const valuesOf = <T>(value: (option: Options) => T | undefined): Record<string, T> =>
    Object.fromEntries(
      [...options].flatMap(([name, option]) => {
        const found = value(option);
        return found === undefined ? [] : [[name, found]];
      }),
    );
  return {
    string: namesWhere(({ type }) => type === 'string'),
    boolean: namesWhere(({ type }) => type === 'boolean'),
    array: namesWhere(({ array }) => array === true),
    // NaN asks for one value at least.
    narg: valuesOf(({ nargs, requiresArg }) => nargs ?? (requiresArg === true ? Number.NaN : undefined)),
    default: valuesOf((option) => option.default as unknown),
    coerce: valuesOf(({ coerce }) => coerce),
    configuration: parserConfiguration,
  };
}
