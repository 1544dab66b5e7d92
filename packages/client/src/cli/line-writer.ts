/*
 * Lines to stdout: many in one write under load, none held back when the machine is quiet.
 */

/** Characters that are written without waiting for the end of the turn. */
const enough = 64 * 1024;

export class LineWriter {
  readonly #stream: NodeJS.WriteStream;
  #text = '';
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

  /** Queues a line; it is written at the end of this turn of the event loop at the latest. */
  write(line: string): void {
    this.#text += `${line}\n`;
    if (this.#text.length >= enough) this.flush();
    else this.#flush ??= setImmediate(() => this.flush());
  }

  /** Writes what is queued. */
  flush(): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    if (this.#text !== '' && !this.#closed) this.#stream.write(this.#text);
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
}
