/*
 * A command as yargs wants it, and its options for those who need them without yargs.
 */
import type { Argv, Options, PositionalOptions } from 'yargs';

/** What a `CommandModule` of yargs has of a command, whatever its arguments are. */
export interface Command {
  readonly command?: unknown;
  readonly describe?: unknown;
  readonly builder?: unknown;
  readonly handler: (args: never) => unknown;
}

/** What a command takes, by name. */
export interface OptionTable {
  readonly options: ReadonlyMap<string, Options>;
  /** What stands beside the options. */
  readonly operands: ReadonlyMap<string, PositionalOptions>;
}

/** The table of a command, whose builder calls nothing of yargs but what is listed here. */
export function optionTable({ builder }: Command): OptionTable {
  const options = new Map<string, Options>();
  const operands = new Map<string, PositionalOptions>();
  // Takes the place of yargs.
  const recorder = {
    option: (name: string, option: Options): unknown => {
      options.set(name, option);
      return recorder;
    },
    positional: (name: string, operand: PositionalOptions): unknown => {
      operands.set(name, operand);
      return recorder;
    },
    example: (): unknown => recorder,
    epilogue: (): unknown => recorder,
  };
  (builder as (yargs: Argv) => unknown)(recorder as unknown as Argv);
  return { options, operands };
}
