/*
 * A program of the benchmark: watches by some connections of the library, and counts what each is told.
 *
 * It looks at type and pid of each event. From where the load begins to where it ends it counts what there was, and
 * then says so. It is told what to do by its parent, and answers it.
 */
import { connect, type EventType, type Watch, type WatchOptions } from '@procbus/client';

/** What the parent asks for. */
export interface Order {
  readonly socket: string;
  readonly connections: number;
  readonly options: WatchOptions;
  /** Whether it is to tell how late each event came. */
  readonly isTimed?: boolean;
}

/** What one connection was told of a load. */
export interface Account {
  /** Events, by type. */
  readonly events: Partial<Record<EventType, number>>;
  /** What was lost, by what it was told. */
  readonly lost: number;
  /** Numbers that were neither told nor told to be lost, or came twice: who asks for all is told each. */
  readonly untold: number;
  /** ns from the kernel's time stamp until the program had the event. */
  readonly late: readonly number[];
}

/** The effective groups by which a load says where it begins and ends, see bench/programs/load.c. */
const begin = 54_321;
const end = 54_322;

/** What is said to the parent. */
export type Answer = { readonly ready: true } | { readonly account: Account };

async function follow(watch: Watch, { options, isTimed = false }: Order): Promise<void> {
  const isAll = options.comm === undefined;
  let loadPid = -1;
  let counts: Partial<Record<EventType, number>> = {};
  let [lost, untold, last] = [0, 0, 0];
  let late: number[] = [];
  for await (const batch of watch.batches()) {
    if (batch.type === 'lost') {
      lost += batch.count;
      last = batch.to;
      continue;
    }
    for (const some of batch) {
      const { type, pid, seq } = some;
      if (last > 0 && isAll) untold += Math.abs(seq - last - 1);
      last = seq;
      if (type === 'gid' && some.event?.type === 'gid') {
        const { egid } = some.event;
        if (egid === begin) {
          loadPid = pid;
          [counts, lost, untold, late] = [{}, 0, 0, []];
        } else if (egid === end && pid === loadPid) {
          say({ account: { events: counts, lost, untold, late } });
          loadPid = -1;
        }
      }
      if (loadPid < 0) continue;
      if (isTimed) late.push(Number(process.hrtime.bigint() - BigInt(some.event?.kernelTime ?? 0)));
      counts[type as EventType] = (counts[type as EventType] ?? 0) + 1;
    }
  }
}

function say(answer: Answer): void {
  process.send?.(answer);
}

// Whoever has asked has gone.
process.once('disconnect', () => process.exit());
process.once('message', (order: Order) => {
  void serve(order);
});

async function serve(order: Order): Promise<void> {
  const { socket, connections, options } = order;
  for (let at = 0; at < connections; at++) {
    const bus = await connect({ socket });
    const watch = bus.watch(options);
    await watch.ready;
    void follow(watch, order);
  }
  say({ ready: true });
}
