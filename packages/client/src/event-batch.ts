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
  [Symbol.iterator](): IterableIterator<EventView> {
    return new Iteration(this.#events);
  }
}

/** By hand, as a generator costs more than reading an event does. */
class Iteration implements IterableIterator<EventView> {
  readonly #events: EventReader;

  constructor(events: EventReader) {
    this.#events = events;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<EventView, undefined> {
    const events = this.#events;
    if (events.left === 0) return { done: true, value: undefined };
    return { done: false, value: events.nextView() };
  }
}
