/*
 * Lists packed in as many parts as it takes, so that each fits into one message.
 */
import { maxHelperPayload, pack } from '@procbus/protocol';

/** Bytes of a packed part at most; the rest of its message takes less than 64. */
const longestPart = maxHelperPayload - 64;

/** Some items, and the packed array of them. */
export interface Part<Item> {
  readonly items: readonly Item[];
  readonly packed: Buffer;
}

/** Packs a list that is not empty; what turns out too long is halved. An item fits by itself. */
export function* packParts<Item>(items: readonly Item[]): Generator<Part<Item>, void, undefined> {
  const packed = pack(items);
  if (packed.length <= longestPart || items.length === 1) {
    yield { items, packed };
    return;
  }
  const half = items.length >> 1;
  yield* packParts(items.slice(0, half));
  yield* packParts(items.slice(half));
}
