/*
 * Events as they arrive, many at a time.
 */
import type { EventReader, EventView } from '@procbus/protocol';

/**
 * Events that came in one message, for those who look at many and want few: each is told as far as its `tid`, and
 * the rest of it is read when it is asked for. It can be gone through once, before the next batch is asked for.
 *
 * @example
 * ```ts
 * for await (const batch of bus.watch().batches()) {
 *   if (batch.type === 'lost') console.warn(`${batch.count} events lost`);
 *   else for (const some of batch) if (some.type === 'exit' && some.pid === child) console.log(some.event);
 * }
 * ```
 */
export class EventBatch implements Iterable<EventView> {
  readonly type = 'events';
  readonly #events: EventReader;

  /** @internal */
  constructor(events: EventReader) {
    this.#events = events;
  }

  /** Events that are left to be read. */
  get length(): number {
    return this.#events.left;
  }

  /** @throws ProcbusError `bad-message` or `bad-frame`, from within the loop */
  *[Symbol.iterator](): Generator<EventView, void, undefined> {
    while (this.#events.left > 0) yield this.#events.nextView();
  }
}
