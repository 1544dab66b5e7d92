/** An option with one value; the last one counts where it is given again, as in an alias that is extended. */
export function scalarOption(describe: string): {
  type: 'string';
  requiresArg: true;
  describe: string;
  coerce: (value: string | string[]) => string | undefined;
} {
  return {
    type: 'string',
    requiresArg: true,
    describe,
    coerce: (value) => (Array.isArray(value) ? value.at(-1) : value),
  };
}
