/*
 * Lines to stdout: many in one write under load, none held back when the machine is quiet.
 */

/** Characters that are written without waiting for the end of the turn. */
const enough = 64 * 1024;

export class LineWriter {
  readonly #stream: NodeJS.WriteStream;
  #text = '';
  /** The mark of the last line of the text. */
  #mark: string | undefined;
  #written: string | undefined;
  /** Writes that are not done. */
  #pending = 0;
  #flush: NodeJS.Immediate | undefined;
  #closed = false;

  /** @param onClosed - called when the reader of the stream has gone */
  constructor(stream: NodeJS.WriteStream, onClosed: (error: NodeJS.ErrnoException) => void) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#closed = true;
      onClosed(error);
    });
  }

  /** The mark of the last line that has been written for certain. */
  get written(): string | undefined {
    return this.#written;
  }

  /** Whether all lines have been written for certain. */
  get isIdle(): boolean {
    return this.#text === '' && this.#pending === 0 && !this.#closed;
  }

  /**
   * Queues a line; it is written at the end of this turn of the event loop at the latest.
   *
   * @param mark - names what has been written when this line has been
   */
  write(line: string, mark?: string): void {
    this.#text += `${line}\n`;
    this.#mark = mark;
    if (this.#text.length >= enough) this.flush();
    else this.#flush ??= setImmediate(() => this.flush());
  }

  /** Writes what is queued. */
  flush(): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    if (this.#text !== '' && !this.#closed) this.#send(this.#text, this.#mark);
    this.#text = '';
  }

  /** Writes what is queued, and waits until it is written, or the reader found to be gone. */
  async finish(): Promise<void> {
    this.flush();
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      // The error of a write is told a little later than its end.
      this.#stream.write('', () => setImmediate(resolve));
    });
  }

  #send(text: string, mark: string | undefined): void {
    this.#pending++;
    this.#stream.write(text, (error) => {
      this.#pending--;
      if (error === undefined || error === null) this.#written = mark ?? this.#written;
    });
  }
}
