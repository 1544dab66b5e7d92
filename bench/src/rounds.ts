/*
 * Figures of several rounds that alternate, so that what changes on the machine meanwhile changes all of them.
 */
import { median } from './scenario.ts';
import { sized } from './size.ts';

const rounds = sized(5, 1);

/** What was measured, round by round, by the name of what it was measured of. */
export type Figures = Record<string, number[]>;

/** What one measurement tells, by the name of what it was measured of. */
export type Measured = Readonly<Record<string, number>>;

/** Does something for each round of a scenario. */
export async function inRounds(progress: (text: string) => void, round: () => Promise<void>): Promise<void> {
  for (let number = 1; number <= rounds; number++) {
    progress(`round ${number} of ${rounds}`);
    await round();
  }
}

/** Measures some things in turn, over and over. */
export async function alternate(
  measures: readonly (() => Promise<Measured>)[],
  progress: (text: string) => void,
): Promise<Figures> {
  const figures: Figures = {};
  await inRounds(progress, async () => {
    for (const measure of measures) {
      for (const [name, figure] of Object.entries(await measure())) (figures[name] ??= []).push(figure);
    }
  });
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
