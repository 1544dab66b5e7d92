/*
 * What a scenario is, and how its figures are shown.
 */

/** One thing to measure. */
export interface Scenario {
  readonly name: string;
  readonly about: string;
  readonly run: (progress: (text: string) => void) => Promise<Report>;
}

/** What a scenario found. */
export interface Report {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly targets: readonly Target[];
  /** The figures behind the rows, for whoever wants to calculate with them. */
  readonly figures: unknown;
}

/** Something that has to hold. */
export interface Target {
  readonly what: string;
  readonly met: boolean;
}

/** A table, and below it which targets are met. */
export function showReport({ columns, rows, targets }: Report): string {
  const lines = [columns, ...rows];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => (line[at] ?? '').length)));
  const table = lines.map((line) =>
    line
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  '),
  );
  const verdicts = targets.map(({ what, met }) => `${met ? 'met   ' : 'MISSED'}  ${what}`);
  return [...table, ...verdicts].map((line) => `  ${line.trimEnd()}\n`).join('');
}

/** The middle one of some figures. */
export function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[figures.length >> 1] ?? Number.NaN;
}
