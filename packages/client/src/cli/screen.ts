/*
 * A terminal that is drawn over, again and again, and left as it was.
 */
import type { WriteStream } from 'node:tty';

const enter = '\u001b[?1049h\u001b[?25l'; // the alternate screen, and no cursor
const leave = '\u001b[?25h\u001b[?1049l';
const home = '\u001b[H';
const clearLine = '\u001b[K';
const clearBelow = '\u001b[J';

export class Screen {
  readonly #stream: WriteStream;
  #render: (() => readonly string[]) | undefined;
  #isOpen = false;

  constructor(stream: WriteStream) {
    this.#stream = stream;
    stream.on('resize', this.#draw);
    // Whoever suspends us gets a terminal that can be worked with.
    process.on('SIGTSTP', this.#suspend);
    process.on('SIGCONT', this.#draw);
  }

  /**
   * Draws lines, now and whenever the terminal has another size.
   *
   * @param render - the lines, each shorter than the terminal is wide
   */
  show(render: () => readonly string[]): void {
    this.#render = render;
    this.#draw();
  }

  /** Leaves the terminal as it was. */
  close(): void {
    this.#stream.off('resize', this.#draw);
    process.off('SIGTSTP', this.#suspend);
    process.off('SIGCONT', this.#draw);
    this.#leave();
  }

  readonly #draw = (): void => {
    if (this.#render === undefined) return;
    const lines = fitting(this.#render(), this.#stream.rows);
    const begin = this.#isOpen ? '' : enter;
    this.#isOpen = true;
    // Nothing is cleared before it is written over, and all is one write: nothing flickers.
    this.#stream.write(begin + home + lines.join(`${clearLine}\r\n`) + clearLine + clearBelow);
  };

  readonly #suspend = (): void => {
    this.#leave();
    process.kill(process.pid, 'SIGSTOP');
  };

  #leave(): void {
    if (this.#isOpen) this.#stream.write(leave);
    this.#isOpen = false;
  }
}

/** As many lines as there is room for; a terminal that does not know its height says 0. */
function fitting(lines: readonly string[], rows: number): readonly string[] {
  if (rows === 0 || lines.length <= rows) return lines;
  return [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more lines`];
}
