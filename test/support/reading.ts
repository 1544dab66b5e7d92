import type { StreamEvent } from '@procbus/protocol';

/** Reads a watch to its end, into `read`. */
export async function drain(watch: AsyncIterable<StreamEvent>, read: StreamEvent[] = []): Promise<void> {
  for await (const event of watch) read.push(event);
}

/** Reads the first events of a watch, and leaves it then. */
export async function take(watch: AsyncIterable<StreamEvent>, count: number): Promise<StreamEvent[]> {
  const read: StreamEvent[] = [];
  for await (const event of watch) if (read.push(event) === count) break;
  return read;
}
