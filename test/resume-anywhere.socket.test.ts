/*
 * Whatever becomes of its connections, and of the helper: a watch yields every event or a word on it.
 */
import { formatCursor, helperMessage, parseCursor, type Cursor, type StreamEvent } from '@procbus/protocol';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { connect } from '../packages/client/src/connect.ts';
import { until } from './support/condition.ts';
import { helperHello } from './support/impostor.ts';
import { heartbeat, told } from './support/messages.ts';
import { Script, type Asked } from './support/script.ts';
import { eventsHead } from '../packages/protocol/test/wire-event.ts';

/** What happens to a helper. */
type Step =
  | { readonly publish: number }
  | { readonly forget: number }
  | { readonly beat: true }
  | { readonly leave: true }
  | { readonly restart: true }
  | { readonly settle: true };

/** Every third event is not for the watch. */
const isTold = (seq: number): boolean => seq % 3 !== 0;
const isSubscribe = ([type]: Asked): boolean => type === 'subscribe';

/** A helper with a journal, for one watch. */
class JournalHelper {
  readonly script: Script;
  /** The numbers of events that the watch has to be told, of each epoch. */
  readonly published = new Map<string, number[]>();
  epoch = 'a0';
  #seq = 0;
  #oldest = 0;
  /** The subscription that is in force. */
  #subscription: number | undefined;
  #answered = 0;

  constructor(script: Script) {
    this.script = script;
    this.#hello();
  }

  /** The oldest number that one can go on behind. */
  get oldest(): number {
    return this.#oldest;
  }

  /** The numbers of this epoch so far. */
  get told(): number[] {
    return this.published.get(this.epoch) ?? [];
  }

  /** Answers what was asked meanwhile, then takes a step. */
  take(step: Step): void {
    this.answer();
    if ('publish' in step) this.#publish(step.publish);
    else if ('forget' in step) this.#oldest = Math.min(this.#seq, this.#oldest + step.forget);
    else if ('beat' in step) this.#say((id) => heartbeat(id, this.#seq));
    else if ('leave' in step) this.#leave();
    else if ('restart' in step) this.#restart();
  }

  /** Answers to all subscribers. */
  answer(): void {
    const asked = this.script.asked.slice(this.#answered);
    this.#answered += asked.length;
    for (const [, request, , options = {}] of asked.filter(isSubscribe)) {
      const { since } = options as { since?: string };
      const { epoch, seq } = since === undefined ? { epoch: this.epoch, seq: this.#seq } : parseCursor(since);
      if (epoch !== this.epoch || seq < this.#oldest || seq > this.#seq) {
        const oldest = `${this.epoch}:${this.#oldest}`;
        this.script.say(helperMessage.error(request, { code: 'gone', message: 'gone', oldest }));
        continue;
      }
      this.#subscription = request;
      this.script.say(helperMessage.result(request, { seq, clockOffset: 0n }), this.#events(request, seq));
    }
  }

  #hello(): void {
    this.published.set(this.epoch, []);
    this.script.hello = { ...helperHello, epoch: this.epoch };
  }

  #publish(count: number): void {
    const before = this.#seq;
    this.#seq += count;
    for (let seq = before + 1; seq <= this.#seq; seq++) if (isTold(seq)) this.told.push(seq);
    this.#say((id) => this.#events(id, before));
  }

  #events(id: number, after: number): unknown[] {
    const numbers = this.told.filter((seq) => seq > after);
    const [, , , , events] = told(id, ...numbers);
    return [...eventsHead(id, this.#seq, 0n), events];
  }

  #say(message: (id: number) => unknown[]): void {
    if (this.#subscription !== undefined) this.script.say(message(this.#subscription));
  }

  #leave(): void {
    this.#subscription = undefined;
    this.script.leave();
    this.#answered = this.script.asked.length;
  }

  #restart(): void {
    this.#leave();
    this.epoch = `a${this.published.size}`;
    this.#seq = 0;
    this.#oldest = 0;
    this.#hello();
  }
}

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ publish: fc.integer({ min: 1, max: 9 }) }) },
    { weight: 2, arbitrary: fc.record({ forget: fc.integer({ min: 1, max: 20 }) }) },
    { weight: 2, arbitrary: fc.constant({ beat: true } as const) },
    { weight: 2, arbitrary: fc.constant({ leave: true } as const) },
    { weight: 1, arbitrary: fc.constant({ restart: true } as const) },
    { weight: 2, arbitrary: fc.constant({ settle: true } as const) },
  ),
  { minLength: 5, maxLength: 25 },
);

/** What a watch yielded, and its cursor behind that. */
interface Read {
  readonly event: StreamEvent;
  readonly cursor: Cursor;
}

/** Takes the steps while a watch reads; returns what it read. */
async function live(helper: JournalHelper, history: readonly Step[]): Promise<Read[]> {
  const { script } = helper;
  await using bus = await connect({ socket: script.path });
  const watch = bus.watch();
  await script.hears('subscribe');
  helper.answer();
  await watch.ready;
  const read: Read[] = [];
  const reading = (async () => {
    for await (const event of watch) read.push({ event, cursor: parseCursor(watch.cursor ?? '') });
  })();
  const settle = async (): Promise<void> => {
    const last = helper.told.at(-1) ?? 0;
    await until('all to be read', () => {
      helper.answer();
      const { epoch, seq } = parseCursor(watch.cursor ?? '');
      return epoch === helper.epoch && seq >= last;
    });
  };
  for (const step of history) {
    helper.take(step);
    if ('settle' in step) await settle();
  }
  helper.take({ publish: 4 });
  await settle();
  await watch.return();
  await reading;
  return read;
}

/** Holds what was read against what there was to tell; returns what is wrong, in words. */
function faults(helper: JournalHelper, read: readonly Read[]): string[] {
  const wrong: string[] = [];
  const epochs = [...helper.published.keys()];
  let [epoch = '', seq] = [epochs[0], 0];
  for (const { event, cursor } of read) {
    const isLost = event.type === 'lost';
    if (cursor.epoch !== epoch) {
      if (epochs.indexOf(cursor.epoch) < epochs.indexOf(epoch)) wrong.push(`${cursor.epoch} after ${epoch}`);
      if (!isLost || event.count > 0) wrong.push(`${cursor.epoch} begins without a hole of unknown size`);
      [epoch, seq] = [cursor.epoch, 0];
    } else {
      const due = helper.published.get(epoch)?.find((number) => number > seq) ?? Infinity;
      if (!isLost && event.seq !== due) wrong.push(`${event.seq} in the place of ${due}`);
      if (isLost && (event.from <= seq || event.from > due))
        wrong.push(`a hole from ${event.from}, after ${seq}`);
      if (isLost && event.count !== event.to - event.from + 1) wrong.push(`a hole of ${event.count}`);
    }
    if (cursor.seq < event.seq) wrong.push(`the cursor is at ${cursor.seq}, behind ${event.seq}`);
    ({ seq } = cursor);
  }
  if (epoch !== helper.epoch) wrong.push(`it is at ${epoch}, and not at ${helper.epoch}`);
  return [...wrong, ...helper.told.filter((number) => number > seq).map((number) => `${number} is missing`)];
}

/** What a watch yields that begins behind a cursor. */
async function toldSince(helper: JournalHelper, cursor: Cursor): Promise<number[]> {
  await using bus = await connect({ socket: helper.script.path });
  const watch = bus.watch({ since: formatCursor(cursor) });
  let hasBegun = false;
  void watch.ready.then(() => (hasBegun = true));
  await until('it to begin', () => {
    helper.answer();
    return hasBegun;
  });
  await bus.ping(); // All that was to be told again is there.
  const seqs: number[] = [];
  while (watch.buffered > 0) {
    const { value } = await watch.next();
    if (value !== undefined) seqs.push(value.seq);
  }
  return seqs;
}

test('a watch misses nothing in silence and yields nothing twice, whatever becomes of its helper', async () => {
  const histories = fc.sample(steps, 60);
  for (let from = 0; from < histories.length; from += 10) {
    await Promise.all(
      histories.slice(from, from + 10).map(async (history) => {
        const helper = new JournalHelper((await Script.start('subscribe')).script);
        const read = await live(helper, history);
        // The history is there for who has to look at a failure.
        expect({ history, wrong: faults(helper, read) }).toEqual({ history, wrong: [] });
        // And from each of its cursors that is still held, another one goes on with just what is left.
        const held = read.filter(
          ({ cursor }) => cursor.epoch === helper.epoch && cursor.seq >= helper.oldest,
        );
        for (const { cursor } of held.slice(-5)) {
          const left = helper.told.filter((number) => number > cursor.seq);
          expect({ history, told: await toldSince(helper, cursor) }).toEqual({ history, told: left });
        }
      }),
    );
  }
});
