/*
 * Checks for people. Pure: the same checks give the same lines.
 */
import { displayWidth } from '../display-width.ts';
import { renderCells, type Colour, type LineStyle } from '../line.ts';
import { printable } from '../printable.ts';
import { wrap } from '../wrap.ts';
import { verdictOf, type Check, type Status } from './check.ts';

const colours: Readonly<Record<Status, Colour>> = { ok: 'green', warn: 'yellow', fail: 'red', skip: 'dim' };

/** Columns of `warn` and the gap behind it. */
const indent = 6;
/** A text is not squeezed into fewer columns. */
const narrowest = 30;

/** A line for each check, its remedy below, and the verdict; without line ends. */
export function renderReport(checks: readonly Check[], style: LineStyle): string[] {
  const rows = merged(checks);
  const nameWidth = Math.max(0, ...rows.map(({ name }) => displayWidth(printable(name))));
  const said = new Set<string>();
  const lines: string[] = [];
  for (const check of rows) {
    lines.push(...factLines(check, nameWidth, style));
    const { remedy } = check;
    if (remedy === undefined || said.has(remedy)) continue;
    said.add(remedy);
    lines.push(...indented(printable(remedy), indent, style));
  }
  return [...lines, '', verdictLine(checks, style)];
}

/** Checks next to each other that were skipped for the same reason, as one. */
function merged(checks: readonly Check[]): Check[] {
  const rows: { check: Check; others: string[] }[] = [];
  for (const check of checks) {
    const last = rows.at(-1);
    if (check.status === 'skip' && last?.check.status === 'skip' && last.check.what === check.what) {
      last.others.push(check.name);
    } else {
      rows.push({ check, others: [] });
    }
  }
  return rows.map(({ check, others }) => (others.length === 0 ? check : skippedWith(check, others)));
}

function skippedWith(check: Check, others: readonly string[]): Check {
  return { ...check, what: `${check.what}; so also ${others.join(', ')}` };
}

function factLines({ name, status, what }: Check, nameWidth: number, style: LineStyle): string[] {
  const column = indent + nameWidth + 2;
  const [first = '', ...rest] = wrap(printable(what), widthBehind(column, style));
  const dim: Colour | undefined = status === 'skip' ? 'dim' : undefined;
  const cells = [
    { text: status, colour: colours[status], width: indent - 2 },
    { text: printable(name), colour: dim, width: nameWidth },
    { text: first, colour: dim },
  ];
  const { colour } = style;
  return [
    renderCells(cells, { colour }),
    ...rest.map((text) => renderCells([{ text: ' '.repeat(column) + text, colour: dim }], { colour })),
  ];
}

function indented(text: string, columns: number, style: LineStyle): string[] {
  return wrap(text, widthBehind(columns, style)).map((line) => ' '.repeat(columns) + line);
}

function widthBehind(columns: number, { width = Infinity }: LineStyle): number {
  return Math.max(narrowest, width - columns);
}

function verdictLine(checks: readonly Check[], { colour }: LineStyle): string {
  const count = (wanted: Status): number => checks.filter(({ status }) => status === wanted).length;
  const warnings = count('warn') === 1 ? '1 warning' : `${count('warn')} warnings`;
  const failed = checks.filter(({ status }) => status === 'fail').map(({ name }) => name);
  const verdict = verdictOf(checks);
  const texts = {
    ok: 'All is well.',
    warn: `It works, with ${warnings}.`,
    fail: `Something is wrong: ${failed.map(printable).join(', ')}.${count('warn') === 0 ? '' : ` And ${warnings}.`}`,
  };
  return renderCells([{ text: texts[verdict], colour: colours[verdict] }], { colour });
}
