/*
 * A program of the benchmark: watches by some connections of the library, and counts what each is told.
 *
 * It looks at type and pid of each event. Between load-begin and load-end it counts what the load has made, and says
 * at the end how that was. It is told what to do by its parent, and answers it.
 */
import { connect, type EventType, type StreamEvent, type WatchOptions } from '@procbus/client';

/** What the parent asks for. */
export interface Order {
  readonly socket: string;
  readonly connections: number;
  readonly options: WatchOptions;
  /** Whether it is to tell how late each event came. */
  readonly isTimed?: boolean;
}

/** What one connection was told between load-begin and load-end. */
export interface Account {
  /** Events of the load, by type. */
  readonly events: Partial<Record<EventType, number>>;
  /** What was lost, by what it was told. */
  readonly lost: number;
  /** In what order they came: whether each number was greater than the one before. */
  readonly inOrder: boolean;
  /** ns from the kernel's time stamp until the program had the event. */
  readonly late: readonly number[];
}

/** What is said to the parent. */
export type Answer = { readonly ready: true } | { readonly account: Account };

async function follow(events: AsyncIterable<StreamEvent>, isTimed: boolean): Promise<void> {
  let loadPid = -1;
  let counts: Partial<Record<EventType, number>> = {};
  let lost = 0;
  let seq = 0;
  let inOrder = true;
  let late: number[] = [];
  for await (const event of events) {
    if (event.type === 'lost') {
      lost += event.count;
      continue;
    }
    const { type, pid } = event;
    if (event.seq <= seq) inOrder = false;
    seq = event.seq;
    if (type === 'comm') {
      if (event.comm === 'load-begin') {
        loadPid = pid;
        [counts, lost, inOrder, late] = [{}, 0, true, []];
      } else if (event.comm === 'load-end' && pid === loadPid) {
        say({ account: { events: counts, lost, inOrder, late } });
        loadPid = -1;
      }
    }
    if (loadPid < 0) continue;
    if (isTimed) late.push(Number(process.hrtime.bigint() - BigInt(event.kernelTime)));
    if (pid === loadPid || ('ppid' in event && event.ppid === loadPid))
      counts[type] = (counts[type] ?? 0) + 1;
  }
}

function say(answer: Answer): void {
  process.send?.(answer);
}

process.once('message', (order: Order) => {
  void serve(order);
});

async function serve({ socket, connections, options, isTimed = false }: Order): Promise<void> {
  for (let at = 0; at < connections; at++) {
    const bus = await connect({ socket });
    const watch = bus.watch(options);
    await watch.ready;
    void follow(watch, isTimed);
  }
  say({ ready: true });
}
