/*
 * A file that holds a cursor, for the next run to begin at.
 *
 * Invariant: whenever it is looked at it holds one whole cursor, the old one or the new one: a new file is
 * written beside it and takes its place.
 */
import { randomBytes } from 'node:crypto';
import { open, readFile, realpath, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseCursor, ProcbusError } from '@procbus/protocol';

/** No file with a cursor is longer, in bytes. */
const longest = 256;

export class CursorFile {
  /** As it was called. */
  readonly #name: string;
  /** Where the links lead: they stay. */
  readonly #path: string;
  #cursor: string | undefined;

  private constructor(name: string, path: string, cursor: string | undefined) {
    this.#name = name;
    this.#path = path;
    this.#cursor = cursor;
  }

  /**
   * Reads a file, if it exists, and makes sure that it can be written.
   *
   * @throws ProcbusError `usage` if it is no file, or holds something else; `output` if it could not be written
   */
  static async open(name: string): Promise<CursorFile> {
    const path = await targetOf(name);
    const file = new CursorFile(name, path, await read(name, path));
    try {
      // Not an empty one, which a full disk would take.
      await unlink(await writeBeside(path, '\n'));
    } catch (error) {
      throw file.#unwritable(error);
    }
    return file;
  }

  /** The cursor that it holds; undefined where there is no file, or an empty one. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /**
   * Writes a cursor, unless it is there already.
   *
   * @throws ProcbusError `output`
   */
  async save(cursor: string): Promise<void> {
    if (cursor === this.#cursor) return;
    try {
      const written = await writeBeside(this.#path, `${cursor}\n`);
      await orRemove(written, rename(written, this.#path));
      this.#cursor = cursor;
    } catch (error) {
      throw this.#unwritable(error);
    }
  }

  #unwritable(cause: unknown): ProcbusError {
    const why = (cause as Error).message;
    return new ProcbusError('output', `--cursor-file ${this.#name}: cannot be written: ${why}`, { cause });
  }
}

/** Where a name leads, by way of links. */
async function targetOf(name: string): Promise<string> {
  try {
    return (await unlessMissing(realpath(name))) ?? name;
  } catch (error) {
    throw noCursor(name, `cannot be read: ${(error as Error).message}`);
  }
}

/** The cursor in a file; undefined where there is none. */
async function read(name: string, path: string): Promise<string | undefined> {
  let text: string;
  try {
    const stats = await unlessMissing(stat(path));
    if (stats === undefined) return undefined;
    if (!stats.isFile()) throw new Error('it is not a file');
    text = stats.size > longest ? 'too long' : (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw noCursor(name, `cannot be read: ${(error as Error).message}`);
  }
  if (text === '') return undefined;
  try {
    parseCursor(text);
    return text;
  } catch {
    throw noCursor(name, 'holds something else than a cursor');
  }
}

/** Writes a new file in the directory of another one, with the mode of that; returns its path. */
async function writeBeside(path: string, text: string): Promise<string> {
  const beside = join(dirname(path), `.procbus-${randomBytes(8).toString('hex')}`);
  const handle = await open(beside, 'wx', 0o600);
  await orRemove(beside, fill(handle, path, text));
  return beside;
}

async function fill(handle: FileHandle, path: string, text: string): Promise<void> {
  try {
    const former = await unlessMissing(stat(path));
    if (former !== undefined) await adopt(handle, former);
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes a file if what is done with it fails. */
async function orRemove(path: string, done: Promise<void>): Promise<void> {
  try {
    await done;
  } catch (error) {
    await unlink(path).catch(() => undefined);
    throw error;
  }
}

/** Gives a new file the mode of the old one and, as far as we may, its owner. */
async function adopt(handle: FileHandle, { mode, uid, gid }: Stats): Promise<void> {
  const own = await handle.stat();
  if (own.uid !== uid || own.gid !== gid) await handle.chown(uid, gid).catch(() => undefined);
  await handle.chmod(mode & 0o777);
}

async function unlessMissing<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function noCursor(name: string, what: string): ProcbusError {
  return new ProcbusError('usage', `--cursor-file ${name}: ${what}`, {
    remedy: 'Name another file, or remove this one to begin anew.',
  });
}
