/*
 * Programs on a terminal of their own, of a given size.
 */
import { Program } from './program.ts';

/** What is known to change colours besides the terminal itself: a build service has `CI`. */
const plain = { TERM: 'xterm-256color', CI: undefined, NO_COLOR: undefined, FORCE_COLOR: undefined };

/** Starts a program on a new terminal, by script(1); what it writes, with its line ends, is on stdout. */
export function onTerminal(columns: number, rows: number, ...command: string[]): Program {
  return new Program(
    'script',
    ['-qec', `stty cols ${columns} rows ${rows}; ${command.join(' ')}`, '/dev/null'],
    {
      env: { ...process.env, ...plain },
    },
  );
}
