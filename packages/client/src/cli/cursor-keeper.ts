/*
 * Keeps a cursor in a file while a command runs: at the beginning, every second, and at the end.
 */
import { ProcbusError } from '@procbus/protocol';
import type { CursorFile } from './cursor-file.ts';

/** How often the file is brought up to date, in ms. */
const interval = 1000;

export class CursorKeeper {
  readonly #file: CursorFile;
  readonly #cursor: () => string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> | undefined;
  #hasWarned = false;
  #isBehind = false;

  /** @param cursor - where the command stands by now */
  constructor(file: CursorFile, cursor: () => string | undefined) {
    this.#file = file;
    this.#cursor = cursor;
  }

  /** Whether the file does not say where the command stood when it was last saved. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /**
   * Saves, and from now on every second.
   *
   * @throws ProcbusError `output`
   */
  async start(): Promise<void> {
    await this.#save();
    this.#timer = setInterval(() => {
      this.#saving ??= this.#saveOrWarn().finally(() => (this.#saving = undefined));
    }, interval);
  }

  /** Saves for the last time. */
  async end(): Promise<void> {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    await this.#saving;
    await this.#saveOrWarn();
  }

  async #saveOrWarn(): Promise<void> {
    try {
      await this.#save();
      this.#isBehind = false;
    } catch (error) {
      this.#isBehind = true;
      if (!(error instanceof ProcbusError)) throw error;
      if (!this.#hasWarned) process.stderr.write(`procbus: ${error.message}\n`);
      this.#hasWarned = true;
    }
  }

  async #save(): Promise<void> {
    const cursor = this.#cursor();
    if (cursor !== undefined) await this.#file.save(cursor);
  }
}
