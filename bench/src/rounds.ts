/*
 * Figures of several rounds that alternate, so that what changes on the machine meanwhile changes all of them.
 */
import { median } from './scenario.ts';
import { sized } from './size.ts';

/** Rounds of a scenario. */
export const rounds: number = sized(5, 1);

/** What was measured, round by round, by the name of what it was measured of. */
export type Figures = Record<string, number[]>;

/** What one measurement tells, by the name of what it was measured of. */
export type Measured = Readonly<Record<string, number>>;

/** Measures some things in turn, over and over. */
export async function alternate(
  measures: readonly (() => Promise<Measured>)[],
  progress: (text: string) => void,
): Promise<Figures> {
  const figures: Figures = {};
  for (let round = 1; round <= rounds; round++) {
    progress(`round ${round} of ${rounds}`);
    for (const measure of measures) {
      for (const [name, figure] of Object.entries(await measure())) (figures[name] ??= []).push(figure);
    }
  }
  return figures;
}

/** The median, and the least and greatest in brackets. */
export function spread(figures: readonly number[], digits: number): string {
  const [least, greatest] = [Math.min(...figures), Math.max(...figures)];
  return `${median(figures).toFixed(digits)} (${least.toFixed(digits)} to ${greatest.toFixed(digits)})`;
}

/** The ratio of two medians. */
export function ratio(a: readonly number[] = [], b: readonly number[] = []): number {
  return median(a) / median(b);
}
