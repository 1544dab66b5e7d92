/*
 * A program of the benchmark: watches by the library, and counts what it is told.
 *
 * It looks at type and pid of each event. Between load-begin and load-end it counts what the load has made, and says
 * at the end how that was. It is told what to do by its parent, and answers it.
 */
import { connect, type EventType, type StreamEvent, type WatchOptions } from '@procbus/client';

/** What the parent asks for. */
export interface Order {
  readonly socket: string;
  readonly options: WatchOptions;
}

/** What was told between load-begin and load-end. */
export interface Account {
  /** Events of the load, by type. */
  readonly events: Partial<Record<EventType, number>>;
  /** What was lost, by what it was told. */
  readonly lost: number;
  /** In what order they came: whether each number was greater than the one before. */
  readonly inOrder: boolean;
}

/** What is said to the parent. */
export type Answer = { readonly ready: true } | { readonly account: Account };

async function follow(events: AsyncIterable<StreamEvent>): Promise<void> {
  let loadPid = -1;
  /** Processes that the load has begun and that live. An exit need not name the parent: who waits may be faster. */
  const children = new Set<number>();
  let counts: Partial<Record<EventType, number>> = {};
  let lost = 0;
  let seq = 0;
  let inOrder = true;
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
        children.clear();
        [counts, lost, inOrder] = [{}, 0, true];
      } else if (event.comm === 'load-end' && pid === loadPid) {
        say({ account: { events: counts, lost, inOrder } });
        loadPid = -1;
      }
    }
    if (loadPid < 0) continue;
    if (type === 'fork' && event.ppid === loadPid) children.add(pid);
    if (pid === loadPid || children.has(pid)) counts[type] = (counts[type] ?? 0) + 1;
    if (type === 'exit') children.delete(pid);
  }
}

function say(answer: Answer): void {
  process.send?.(answer);
}

process.once('message', (order: Order) => {
  void serve(order);
});

async function serve({ socket, options }: Order): Promise<void> {
  const bus = await connect({ socket });
  const watch = bus.watch(options);
  await watch.ready;
  void follow(watch);
  say({ ready: true });
}
