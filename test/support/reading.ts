import type { StreamEvent } from '@procbus/protocol';

/** Reads a watch to its end, into `read`. */
export async function drain<E = StreamEvent>(watch: AsyncIterable<E>, read: E[] = []): Promise<void> {
  for await (const event of watch) read.push(event);
}

/** Reads the first events of a watch, and leaves it then. */
export async function take<E = StreamEvent>(watch: AsyncIterable<E>, count: number): Promise<E[]> {
  const read: E[] = [];
  for await (const event of watch) if (read.push(event) === count) break;
  return read;
}
