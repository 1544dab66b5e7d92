/*
 * Whatever becomes of its connections, and of the helper: a watch yields every event or a word on it.
 */
import { helperMessage, parseCursor, type StreamEvent } from '@procbus/protocol';
import * as fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../packages/client/src/connect.ts';
import { until } from './support/condition.ts';
import { helperHello } from './support/impostor.ts';
import { heartbeat, told } from './support/messages.ts';
import { Script, type Asked } from './support/script.ts';

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

  get oldest(): number {
    return this.#oldest;
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
    for (let seq = before + 1; seq <= this.#seq; seq++)
      if (isTold(seq)) this.published.get(this.epoch)?.push(seq);
    this.#say((id) => this.#events(id, before));
  }

  #events(id: number, after: number): unknown[] {
    const numbers = this.published.get(this.epoch)?.filter((seq) => seq > after) ?? [];
    const [, , , , events] = told(id, ...numbers);
    return [...helperMessage.eventsHead(id, this.#seq, 0n), events];
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

/** Takes the steps while a watch reads; returns what it read, with its cursor behind each, and from where on. */
async function live(
  history: readonly Step[],
): Promise<{ helper: JournalHelper; read: { event: StreamEvent; cursor: string }[]; path: string }> {
  const { script, socket } = await Script.start('subscribe');
  const helper = new JournalHelper(script);
  const bus = await connect({ socket });
  onTestFinished(async () => bus.close());
  const watch = bus.watch();
  await script.hears('subscribe');
  helper.answer();
  await watch.ready;
  const read: { event: StreamEvent; cursor: string }[] = [];
  const reading = (async () => {
    for await (const event of watch) read.push({ event, cursor: watch.cursor ?? '' });
  })();
  const settle = async (): Promise<void> => {
    const last = helper.published.get(helper.epoch)?.at(-1) ?? 0;
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
  return { helper, read, path: socket };
}

/** Holds what was read against what was published. */
function check(helper: JournalHelper, read: readonly { event: StreamEvent; cursor: string }[]): void {
  const epochs = [...helper.published.keys()];
  let epoch = 0;
  let seq = 0;
  for (const { event, cursor } of read) {
    const at = parseCursor(cursor);
    const now = epochs.indexOf(at.epoch);
    expect(now).toBeGreaterThanOrEqual(epoch);
    if (now > epoch) {
      // Another helper: a hole of unknown size comes first.
      expect(event).toMatchObject({ type: 'lost', where: 'journal', count: 0, from: 0 });
      [epoch, seq] = [now, 0];
    }
    const numbers = helper.published.get(at.epoch) ?? [];
    const due = numbers.find((number) => number > seq);
    if (event.type === 'lost') {
      if (event.from > 0) {
        expect(event.from).toBeGreaterThan(seq);
        expect(event.count).toBe(event.to - event.from + 1);
      }
      // Nothing is missing before the hole.
      if (event.from > 0) expect(due ?? Infinity).toBeGreaterThanOrEqual(event.from);
      seq = event.to;
    } else {
      expect(event.seq).toBe(due);
      seq = event.seq;
    }
    expect(at.seq).toBeGreaterThanOrEqual(seq);
    seq = at.seq;
  }
  expect(epochs[epoch]).toBe(helper.epoch);
  expect(numbers(helper).filter((number) => number > seq)).toEqual([]);
}

const numbers = (helper: JournalHelper): number[] => helper.published.get(helper.epoch) ?? [];

test('a watch misses nothing in silence and yields nothing twice, whatever happens to its helper', async () => {
  const histories = fc.sample(steps, 60);
  for (let from = 0; from < histories.length; from += 10) {
    await Promise.all(
      histories.slice(from, from + 10).map(async (history) => {
        const { helper, read, path } = await live(history);
        try {
          check(helper, read);
          await checkCursors(helper, read, path);
        } catch (error) {
          throw new Error(`after ${JSON.stringify(history)}`, { cause: error });
        }
      }),
    );
  }
});

/** From each cursor of a watch another one goes on with just what is left. */
async function checkCursors(
  helper: JournalHelper,
  read: readonly { event: StreamEvent; cursor: string }[],
  path: string,
): Promise<void> {
  await using bus = await connect({ socket: path });
  const places = read.filter(({ cursor }) => {
    const { epoch, seq } = parseCursor(cursor);
    return epoch === helper.epoch && seq >= helper.oldest;
  });
  for (const { cursor } of places.slice(-5)) {
    const left = numbers(helper).filter((number) => number > parseCursor(cursor).seq);
    const watch = bus.watch({ since: cursor });
    let hasBegun = false;
    void watch.ready.then(() => (hasBegun = true));
    await until('it to begin', () => {
      helper.answer();
      return hasBegun;
    });
    for (const seq of left) expect(await watch.next()).toMatchObject({ value: { seq } });
    await watch.return();
  }
}
