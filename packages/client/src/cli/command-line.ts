/*
 * A command as it is typed: arguments in one line, quoted only where a shell would need it.
 */
import type { ProcessInfo } from '@procbus/protocol';
import { isPrintable, printable } from './printable.ts';

/** What a process runs: its arguments or, where there are none, its name in brackets. */
export function commandOf({
  args = [],
  argsTruncated,
  comm,
}: Pick<ProcessInfo, 'args' | 'argsTruncated' | 'comm'>): string {
  if (args.length === 0) return `[${printable(comm)}]`;
  return argsTruncated === true ? `${commandLine(args)} …` : commandLine(args);
}

/** Arguments as a shell would take them, in one line that is safe for a terminal. */
export function commandLine(args: readonly string[]): string {
  const [first = '', ...rest] = args;
  // Daemons write a title over their arguments, as in `nginx: worker process`; it is no word.
  if (first.includes(' ') && rest.every((arg) => arg === '')) return printable(first);
  return args.map(shellWord).join(' ');
}

/** One word, so that bash would read it as the text that it stands for. */
export function shellWord(text: string): string {
  if (/^[\p{L}\p{M}\p{N}_@%+=:,./-]+$/u.test(text)) return text;
  if (isPrintable(text)) return `'${text.replaceAll("'", String.raw`'\''`)}'`;
  return `$'${text.replaceAll(/[\p{C}\p{Zl}\p{Zp}\\']/gu, escaped)}'`;
}

const short: Readonly<Record<string, string>> = {
  '\\': String.raw`\\`,
  "'": String.raw`\'`,
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\t': String.raw`\t`,
};

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (short[character] !== undefined) return short[character];
  // \x is a byte, and stands for a character only in ASCII.
  if (code <= 0x7f) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
