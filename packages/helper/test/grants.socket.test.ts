/*
 * Who may see what, over a real socket: told at the hello, and anew when the rules change.
 */
import { clientMessage, type EventType, type KernelEvent } from '@procbus/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { Journal } from '../src/bus/journal.ts';
import { decide, refusal, type Granted, type Rule } from '../src/peers/policy.ts';
import { defaultLimits } from '../src/peers/quota.ts';
import { account } from './support/account.ts';
import { eventOf, execs } from './support/bus.ts';
import { followCursor } from './support/cursor.ts';
import { canBeOthers, type Identity } from './support/impersonate.ts';
import { RawClient } from './support/raw-client.ts';
import { granted, serve, subscriptionsOf, type Serving } from './support/serving.ts';

const { hello, ping, snapshot, stats, subscribe } = clientMessage;
const text: unknown = expect.any(String);
const anna: Identity = canBeOthers ? { uid: 54_321 } : { uid: process.getuid?.() ?? 0 };
const ben: Identity | undefined = canBeOthers ? { uid: 54_322 } : undefined;
const as = canBeOthers ? anna : undefined;

/** Processes there are; those with an even pid are anna's. */
const crowd = 200;
const own = granted({}, { scope: 'own' });
const all = granted();

/** More than may be told at once, so that some are held back. */
const many = execs(crowd);

const isOwn = ({ pid }: { pid: number }): boolean => pid % 2 === 0;

/** The event by which a process becomes anna's, or somebody else's. */
function ownerOf({ pid }: { pid: number }): KernelEvent {
  const uid = isOwn({ pid }) ? anna.uid : 99_999;
  return { type: 'uid', kernelTime: 2n ** 60n, cpu: 0, pid, tid: pid, uid, euid: uid };
}

interface Granting extends Serving {
  /** Gives somebody another grant, or none. */
  readonly grant: (to: Identity, what: Granted | undefined) => void;
}

/** A helper with processes of anna and of others, and with grants that can be changed. */
async function serveGranting(): Promise<Granting> {
  const grants = new Map<number, Granted | undefined>();
  const serving: Serving = await serve({
    proc: { imageOf: ({ pid }) => ({ comm: `comm${pid}`, args: ['x', String(pid)], detail: 'complete' }) },
    host: {
      grantTo: ({ uid }) => (grants.has(uid) ? grants.get(uid) : all),
      stats: (session) => ({ seesAll: session.seesAll }),
    },
    bus: { journal: new Journal(64 * 2 ** 20) },
  });
  serving.publish(many.map(ownerOf));
  const grant: Granting['grant'] = ({ uid }, what) => {
    grants.set(uid, what);
    serving.server.regrant();
  };
  return { ...serving, grant };
}

/** The numbers of what was told, each once and in order. */
function told(client: RawClient, subscription: number, start: number): (number | object)[] {
  followCursor(client.received, subscription, start);
  return account(client.told(subscription));
}

/** Publishes events, and says which numbers they have. */
function publish({ publish: send, broadcast }: Serving, events: readonly KernelEvent[]): number[] {
  const { seq } = broadcast;
  send(events);
  return events.map((_, index) => seq + 1 + index);
}

const ofOwn = (numbers: readonly number[], events: readonly KernelEvent[]): number[] =>
  numbers.filter((_, index) => isOwn(events[index] as KernelEvent));

describe('who connects', () => {
  const rule: Rule = { who: { group: 4711 }, ...own, limits: {} };
  const names = {
    userName: (uid: number): string | undefined => (uid === anna.uid ? 'anna' : undefined),
    groupName: (gid: number): string | undefined => (gid === 4711 ? 'watchers' : undefined),
    groupsOf: (): number[] => [],
  };
  const host = {
    grantTo: (peer: Parameters<typeof decide>[2]) => decide([rule], defaultLimits, peer),
    refusal: (peer: Parameters<typeof decide>[2]) => refusal([rule], peer, names),
  };

  test('and is granted nothing is told at the hello what was considered and what would help', async () => {
    const { path, server } = await serve({ host });
    const client = await RawClient.connect(path, as);
    client.send(hello({ versions: [1, 1], software: 'raw/1' }), ping(1), snapshot(2, {}, true));
    await client.closed;
    expect(client.received).toEqual([
      [
        'error',
        null,
        'not-granted',
        expect.stringContaining(`no grant is for uid ${anna.uid} (anna)`),
        expect.stringContaining('sudo usermod -aG watchers anna'),
      ],
    ]);
    await until('it to be forgotten', () => server.quotas.isEmpty);
  });

  test.skipIf(!canBeOthers)(
    'is judged by the groups that it has at that moment, and told its grant',
    async () => {
      const { path } = await serve({ host });
      const client = await RawClient.connect(path, { uid: 54_321, groups: [54_321, 4711] });
      client.send(hello({ versions: [1, 1], software: 'raw/1' }));
      const [, { grant }] = (await client.next('hello')) as unknown as [string, { grant: object }];
      expect(grant).toEqual({ scope: 'own', detail: 'args', events: own.events });
    },
  );
});

describe('a grant that changes', () => {
  test('to less shows less from then on, and what happened before as it was', async () => {
    const serving = await serveGranting();
    const client = await RawClient.greet(serving.path, as);
    await client.request(subscribe(1, {}));
    await client.request(subscribe(2, {}, { maxDelay: 5000 }));
    const start = serving.broadcast.seq;
    const [before, between] = [publish(serving, many), publish(serving, many)];
    serving.grant(anna, own);
    const after = [publish(serving, many), publish(serving, many)];
    serving.broadcast.close();
    await client.request(ping(3));
    const expected = [...before, ...between, ...after.flatMap((numbers) => ofOwn(numbers, many))];
    expect(told(client, 1, start)).toEqual(expected);
    expect(told(client, 2, start)).toEqual(expected);
  });

  test('to more shows more from then on', async () => {
    const serving = await serveGranting();
    serving.grant(anna, own);
    const client = await RawClient.greet(serving.path, as);
    await client.request(subscribe(1, {}, { maxDelay: 5000 }));
    const start = serving.broadcast.seq;
    const [before, between] = [publish(serving, many), publish(serving, many)];
    serving.grant(anna, all);
    const after = publish(serving, many);
    serving.broadcast.close();
    await client.request(ping(3));
    expect(told(client, 1, start)).toEqual([...ofOwn(before, many), ...ofOwn(between, many), ...after]);
  });

  test('to less detail tells less of each process', async () => {
    const serving = await serveGranting();
    const client = await RawClient.greet(serving.path, as);
    await client.request(subscribe(1, { include: ['args'] }));
    const details = ['args', 'names', 'ids'] as const;
    for (const detail of details) {
      serving.grant(anna, granted({}, { detail }));
      publish(serving, [eventOf('exec', 2)]);
    }
    await client.request(ping(2));
    const shown = client.told(1).map((event) => {
      const { process } = event.at(6) as { process: { comm: string; args?: string[] } };
      return [process.comm, process.args];
    });
    expect(shown).toEqual([
      ['comm2', ['x', '2']],
      ['comm2', undefined],
      ['', undefined],
    ]);
  });

  test('to fewer types of event, and to others, tells these', async () => {
    const serving = await serveGranting();
    const client = await RawClient.greet(serving.path, as);
    await client.request(subscribe(1, { events: ['exec', 'sid', 'exit'] }));
    const types: EventType[][] = [['exec', 'sid'], ['exec'], ['sid', 'uid'], ['fork']];
    for (const events of types) {
      serving.grant(anna, granted({}, { events }));
      publish(serving, [eventOf('exec', 2), eventOf('sid', 2)]);
    }
    await client.request(ping(2));
    expect(client.told(1).map(([type]) => type)).toEqual(['exec', 'sid', 'exec', 'sid']);
  });

  test('is not noticed by those whose own does not change', async () => {
    const serving = await serveGranting();
    const client = await RawClient.greet(serving.path, as);
    await client.request(subscribe(1, {}));
    const start = serving.broadcast.seq;
    const numbers: number[] = [];
    for (let round = 0; round < 50; round++) {
      numbers.push(...publish(serving, many));
      serving.grant({ uid: 4711 }, round % 2 === 0 ? own : all);
      serving.grant(anna, { ...all, limits: { ...all.limits, connections: 10 + round } });
      if (round % 5 === 0) await client.request(ping(10 + round));
    }
    serving.broadcast.close();
    await client.request(ping(2));
    expect(told(client, 1, start)).toEqual(numbers);
    expect(subscriptionsOf(serving.server)).toBe(1);
  });

  test('to none ends the connection, and says why behind all that has happened', async () => {
    const serving = await serveGranting();
    const client = await RawClient.greet(serving.path, as);
    const silent = await RawClient.connect(serving.path, as);
    await client.request(subscribe(1, {}, { maxDelay: 5000 }));
    const start = serving.broadcast.seq;
    const numbers = [...publish(serving, many), ...publish(serving, many)];
    serving.grant(anna, undefined);
    await client.closed;
    expect(told(client, 1, start)).toEqual(numbers);
    expect(client.received.at(-1)).toEqual(['goodbye', 'not-granted', 'nobody is granted anything']);
    // One who has not said hello yet hears it in answer to that.
    silent.send(hello({ versions: [1, 1], software: 'raw/1' }));
    await silent.closed;
    expect(silent.received).toEqual([['error', null, 'not-granted', text]]);
    await until('both to be forgotten', () => serving.server.quotas.isEmpty);
  });

  test.each<[string, object, Granted, string]>([
    ['a condition', { comm: ['x*'] }, granted({}, { detail: 'ids' }), 'comm: you may see no more than ids'],
    ['an exception', { not: { args: ['x'] } }, granted({}, { detail: 'names' }), 'not.args: '],
    ['a subtree', { subtree: [1] }, own, 'subtree: there is no process 1'],
  ])('to one that does not allow %s ends the connection, and says why', async (_what, filter, grant, why) => {
    const serving = await serveGranting();
    const client = await RawClient.greet(serving.path, as);
    await client.request(subscribe(1, {}));
    await client.request(subscribe(2, filter));
    serving.grant(anna, grant);
    await client.closed;
    expect(client.received.at(-1)).toMatchObject([
      'goodbye',
      'not-granted',
      expect.stringContaining(why),
      text,
    ]);
    await until('it to be forgotten', () => serving.server.quotas.isEmpty);
    // What the grant allows it allows as before.
    const again = await RawClient.greet(serving.path, as);
    await again.request(subscribe(1, {}));
  });

  test('decides of requests and figures from then on', async () => {
    const serving = await serveGranting();
    const client = await RawClient.greet(serving.path, as);
    expect(await client.request(stats(1))).toEqual({ seesAll: true });
    serving.grant(anna, { ...granted({ subscriptions: 1 }, { scope: 'own', detail: 'ids' }), stats: 'own' });
    expect(await client.request(stats(2))).toEqual({ seesAll: false });
    await client.request(snapshot(3, {}, false));
    const pids = client.received
      .filter(([type]) => type === 'processes')
      .flatMap(([, , processes]) => processes as { pid: number; comm: string }[]);
    expect(pids.filter(({ pid, comm }) => pid % 2 !== 0 || comm !== '')).toEqual([]);
    expect(pids).toHaveLength(crowd / 2);
    expect(await client.request(subscribe(4, { comm: ['x'] }))).toEqual(['not-granted', text, text]);
    await client.request(subscribe(4, {}));
    expect(await client.request(subscribe(5, {}))).toEqual(['quota', text, text]);
  });

  test.skipIf(!canBeOthers)('changes nothing for others', async () => {
    const serving = await serveGranting();
    const [client, other] = [
      await RawClient.greet(serving.path, as),
      await RawClient.greet(serving.path, ben),
    ];
    for (const each of [client, other]) await each.request(subscribe(1, {}, { maxDelay: 5000 }));
    const start = serving.broadcast.seq;
    const numbers = [...publish(serving, many), ...publish(serving, many)];
    serving.grant(anna, undefined);
    numbers.push(...publish(serving, many));
    serving.broadcast.close();
    await other.request(ping(2));
    expect(told(other, 1, start)).toEqual(numbers);
  });
});

describe('a grant that changes while somebody is sent a list', () => {
  test('to less shows less of what is left, and ends the connection where the list is not allowed', async () => {
    const serving = await serveGranting();
    const count = 8000;
    serving.publish(execs(count).map(ownerOf));
    const [client, other] = [
      await RawClient.greet(serving.path, as),
      await RawClient.greet(serving.path, as),
    ];
    for (const each of [client, other]) each.socket.pause();
    client.send(snapshot(1, {}, false));
    other.send(snapshot(1, { comm: ['*'] }, false));
    const isFull = (): boolean => serving.server.connections.every(({ queuedBytes }) => queuedBytes > 0);
    await until('their sockets to be full', isFull);
    serving.grant(anna, granted({}, { scope: 'own', detail: 'ids' }));
    client.socket.resume();
    await client.next('result');
    const parts = client.received.filter(([type]) => type === 'processes');
    const processes = parts.flatMap(([, , part]) => part as { pid: number; comm: string; args?: unknown }[]);
    const lastOfOthers = processes.findLastIndex((process) => !isOwn(process));
    expect(lastOfOthers).toBeLessThan(count / 2);
    expect(processes.filter(isOwn)).toHaveLength(count / 2);
    const rest = processes.slice(lastOfOthers + 2);
    expect(rest.filter(({ comm, args }) => comm !== '' || args !== undefined)).toEqual([]);
    other.socket.resume();
    await other.closed;
    expect(other.received.at(-1)).toEqual([
      'goodbye',
      'not-granted',
      expect.stringContaining('comm: '),
      text,
    ]);
  });
});

describe('a grant that changes while somebody is told what happened before', () => {
  /** What was told, and what there was to tell, as numbers; anna's are even. */
  async function replayed(first: Granted, second: Granted): Promise<{ numbers: number[]; end: number }> {
    const serving = await serveGranting();
    serving.grant(anna, first);
    for (let batch = 0; batch < 200; batch++) publish(serving, many);
    const client = await RawClient.greet(serving.path, as);
    client.socket.pause();
    client.send(subscribe(1, {}, { since: { epoch: serving.broadcast.epoch, seq: crowd } }));
    await until('its socket to be full', () => serving.server.connections[0]?.queuedBytes !== 0);
    serving.grant(anna, second);
    publish(serving, many);
    client.socket.resume();
    const [end = 0] = publish(serving, many.slice(1, 2)).slice(-1);
    await client.hears(1, end);
    return { numbers: told(client, 1, crowd) as number[], end };
  }

  const range = (from: number, to: number): number[] =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const isEven = (number: number): boolean => number % 2 === 0;

  test('to less shows less of what is left', async () => {
    const { numbers, end } = await replayed(all, own);
    const lastOfOthers = numbers.findLast((number) => !isEven(number) && number < end) ?? 0;
    expect(lastOfOthers).toBeGreaterThan(crowd);
    expect(lastOfOthers).toBeLessThan(end - 2 * crowd);
    expect(numbers).toEqual([
      ...range(crowd + 1, lastOfOthers),
      ...range(lastOfOthers + 1, end).filter((number) => isEven(number) || number === end),
    ]);
  });

  test('to more shows more of what is left', async () => {
    const { numbers, end } = await replayed(own, all);
    const firstOfOthers = numbers.find((number) => !isEven(number)) ?? end;
    expect(firstOfOthers).toBeGreaterThan(2 * crowd);
    expect(firstOfOthers).toBeLessThan(end - crowd);
    expect(numbers).toEqual([
      ...range(crowd + 1, firstOfOthers - 1).filter(isEven),
      ...range(firstOfOthers, end),
    ]);
  });
});

/** What may happen: events, and another grant. */
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ from: fc.nat(crowd - 1), count: fc.nat(150), lost: fc.constantFrom(0, 0, 3) }),
  },
  { weight: 2, arbitrary: fc.constantFrom(own, all, granted({}, { events: ['sid'] })) },
  { weight: 1, arbitrary: fc.constant('rest' as const) },
);

test('whatever is granted and when, each event is told once if it was granted at that moment', async () => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
    const serving = await serveGranting();
    const client = await RawClient.greet(serving.path, as);
    const start = serving.broadcast.seq;
    const delays = [0, 3, 10_000];
    for (const [index, maxDelay] of delays.entries())
      await client.request(subscribe(index + 1, {}, { maxDelay }));
    let now = all;
    const expected: (number | object)[] = [];
    for (const next of steps) {
      if (next === 'rest') await client.request(ping(9));
      else if ('scope' in next) {
        now = next;
        serving.grant(anna, next);
      } else {
        const { from, count, lost } = next;
        const events = many
          .slice(from, from + count)
          .map((event, index) => (index % 3 === 0 ? eventOf('sid', event.pid) : event));
        const { seq } = serving.broadcast;
        serving.publish(events, lost);
        for (const [index, event] of events.entries()) {
          if (!now.events.includes(event.type) || (now.scope === 'own' && !isOwn(event))) continue;
          expected.push(seq + 1 + index);
        }
        const [first, to] = [seq + events.length + 1, seq + events.length + lost];
        if (lost > 0) {
          const isAll = now.scope === 'all';
          expected.push({ where: 'kernel', count: isAll ? lost : 0, from: isAll ? first : to, to });
        }
      }
    }
    serving.broadcast.close();
    await client.request(ping(9));
    for (const index of delays.keys()) expect(told(client, index + 1, start)).toEqual(expected);
    client.socket.destroy();
    await until('it to be forgotten', () => serving.server.quotas.isEmpty);
  });
  await fc.assert(property, { numRuns: 25 });
});
