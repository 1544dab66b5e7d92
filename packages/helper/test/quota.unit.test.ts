/*
 * Accounts: what is charged, what is refused, who has to wait.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { defaultLimits, exceeded, Quotas, type Limits, type Share } from '../src/peers/quota.ts';

const [anna, ben] = [1000, 1001];
const few: Limits = { ...defaultLimits, connections: 2, subscriptions: 3, queuedBytes: 1000 };

/** Opens a connection that the limits allow. */
function opened(quotas: Quotas, uid: number, limits: Limits): Share {
  const share = quotas.open(uid, limits);
  if (share === undefined) throw new Error(`a connection of ${uid} was refused`);
  return share;
}

const refusal = (message: string): unknown =>
  expect.objectContaining({
    code: 'quota',
    message,
    remedy: expect.stringContaining('procbusd.toml') as unknown,
  });

describe('connections and subscriptions', () => {
  test('are refused beyond the limit of their user, and nobody else', () => {
    const quotas = new Quotas();
    const [first] = [opened(quotas, anna, few), opened(quotas, anna, few)];
    expect(quotas.open(anna, few)).toBeUndefined();
    expect(exceeded(anna, 'connections', few)).toEqual(
      refusal('the user 1000 has 2 connections already, which is the limit'),
    );
    opened(quotas, ben, few);
    first.close();
    opened(quotas, anna, few);
  });

  test('share the limit among all connections of the user', () => {
    const quotas = new Quotas();
    const [first, second, other] = [
      opened(quotas, anna, few),
      opened(quotas, anna, few),
      opened(quotas, ben, few),
    ];
    const end = first.subscribe();
    first.subscribe();
    second.subscribe();
    expect(() => second.subscribe()).toThrow(
      refusal('the user 1000 has 3 subscriptions already, which is the limit'),
    );
    other.subscribe();
    end();
    end();
    second.subscribe();
    expect(() => second.subscribe()).toThrow(refusal(expect.stringContaining('3 subscriptions') as string));
    expect(first.usage).toEqual({ connections: 1, subscriptions: 1, queuedBytes: 0 });
  });

  test('may be replaced by other limits, which take nothing away', () => {
    const quotas = new Quotas();
    const share = opened(quotas, anna, few);
    const ends = [share.subscribe(), share.subscribe()];
    share.limits = { ...few, subscriptions: 1 };
    for (const end of ends) {
      expect(() => share.subscribe()).toThrow(
        refusal(expect.stringContaining('which is the limit') as string),
      );
      end();
    }
    share.subscribe();
  });

  test('of a user who may have none leave no trace', () => {
    const quotas = new Quotas();
    expect(quotas.open(anna, { ...few, connections: 0 })).toBeUndefined();
    expect([quotas.isEmpty, quotas.size]).toEqual([true, 0]);
  });
});

describe('what is charged', () => {
  test('is known for each user and each connection', () => {
    const quotas = new Quotas();
    const [first, second, other] = [
      opened(quotas, anna, few),
      opened(quotas, anna, few),
      opened(quotas, ben, few),
    ];
    first.queue(100);
    second.queue(50);
    second.queue(-20);
    other.subscribe();
    expect([...quotas.usages()]).toEqual([
      { uid: anna, connections: 2, subscriptions: 0, queuedBytes: 130 },
      { uid: ben, connections: 1, subscriptions: 1, queuedBytes: 0 },
    ]);
    expect(second.usage).toEqual({ connections: 1, subscriptions: 0, queuedBytes: 30 });
  });

  test('is discharged before the connection closes, and not more than was charged', () => {
    const quotas = new Quotas();
    const share = opened(quotas, anna, few);
    const beside = opened(quotas, anna, few);
    beside.queue(100);
    const end = share.subscribe();
    share.queue(10);
    expect(() => share.close()).toThrow('ends with 1 subscriptions and 10 queued bytes');
    expect(() => share.queue(-11)).toThrow('11 queuedBytes are discharged of 10');
    end();
    share.queue(-10);
    share.close();
    share.close();
    expect(() => share.queue(1)).toThrow('has ended');
    expect(() => share.subscribe()).toThrow('has ended');
    expect(quotas.isEmpty).toBe(false);
    beside.queue(-100);
    beside.close();
    expect(quotas.isEmpty).toBe(true);
    expect([...quotas.usages()]).toEqual([]);
  });

  test('a connection may queue as much as it leaves to the others', () => {
    const quotas = new Quotas();
    const [stuck, reader] = [opened(quotas, anna, few), opened(quotas, anna, few)];
    while (!stuck.isQueueFull(100)) stuck.queue(100);
    expect(stuck.usage.queuedBytes).toBe(500);
    while (!reader.isQueueFull(10)) reader.queue(10);
    expect(reader.usage.queuedBytes).toBe(250);
    stuck.queue(-500);
    expect(reader.isQueueFull(200)).toBe(false);
  });
});

/** The sum over some shares. */
const sum = (shares: readonly Share[], what: 'connections' | 'subscriptions' | 'queuedBytes'): number =>
  shares.reduce((total, { usage }) => total + usage[what], 0);

test('whatever is charged and discharged, accounts are the sums of their connections, within the limits, and empty in the end', () => {
  const operation = fc.record({
    what: fc.constantFrom('open', 'close', 'subscribe', 'end', 'queue', 'read', 'spend', 'sleep'),
    uid: fc.nat(3),
    which: fc.nat(),
    amount: fc.nat(600),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      let now = 0;
      const quotas = new Quotas(() => now);
      // The model: what is held, by whom.
      const held: { uid: number; share: Share; ends: (() => void)[]; queued: number }[] = [];
      const of = (uid: number): typeof held => held.filter((one) => one.uid === uid);
      const close = (one: (typeof held)[number]): void => {
        for (const end of one.ends) end();
        one.share.queue(-one.queued);
        one.share.close();
        held.splice(held.indexOf(one), 1);
      };
      for (const { what, uid, which, amount } of operations) {
        const own = of(uid);
        const one = own[which % Math.max(1, own.length)];
        if (what === 'open') {
          if (own.length < few.connections)
            held.push({ uid, share: opened(quotas, uid, few), ends: [], queued: 0 });
          else expect(quotas.open(uid, few)).toBeUndefined();
        } else if (what === 'sleep') {
          now += amount * 10;
        } else if (one !== undefined) {
          const subscriptions = own.reduce((total, { ends }) => total + ends.length, 0);
          const queued = own.reduce((total, another) => total + another.queued, 0);
          if (what === 'close') close(one);
          if (what === 'subscribe') {
            if (subscriptions < few.subscriptions) one.ends.push(one.share.subscribe());
            else expect(() => one.share.subscribe()).toThrow(/subscriptions already/);
          }
          if (what === 'end') one.ends.pop()?.();
          if (what === 'queue') {
            const full = one.queued + amount > few.queuedBytes - queued;
            expect(one.share.isQueueFull(amount)).toBe(full);
            if (!full) one.share.queue(amount);
            if (!full) one.queued += amount;
          }
          if (what === 'read') {
            const read = Math.min(amount, one.queued);
            one.share.queue(-read);
            one.queued -= read;
          }
          if (what === 'spend') one.share.spend(1, amount * 100);
        }
        const usages = new Map([...quotas.usages()].map(({ uid: who, ...usage }) => [who, usage]));
        expect(new Set(usages.keys())).toEqual(new Set(held.map((some) => some.uid)));
        for (const [who, usage] of usages) {
          const shares = of(who).map(({ share }) => share);
          for (const kind of ['connections', 'subscriptions', 'queuedBytes'] as const) {
            expect(usage[kind]).toBe(sum(shares, kind));
            expect(usage[kind]).toBeLessThanOrEqual(few[kind]);
          }
        }
      }
      for (const one of held.slice()) close(one);
      expect(quotas.isEmpty).toBe(true);
    }),
  );
});

describe('requests', () => {
  const slow: Limits = { ...defaultLimits, requestsPerSecond: 10, workPerSecond: 1000 };

  /** A share whose time the test tells, and how often it may go on until it has to wait. */
  const timed = (): {
    share: Share;
    pass: (ms: number) => void;
    spendAll: (work?: number) => number;
    quotas: Quotas;
  } => {
    let now = 1_000_000;
    const quotas = new Quotas(() => now);
    const share = opened(quotas, anna, slow);
    const spendAll = (work = 0): number => {
      let handled = 0;
      for (; share.isReady; handled++) share.spend(1, work);
      return handled;
    };
    return { share, quotas, spendAll, pass: (ms) => (now += ms) };
  };

  test('may come in bursts of two seconds, and then as many as time has brought', () => {
    const { spendAll, pass } = timed();
    expect(spendAll()).toBe(21);
    pass(100);
    expect(spendAll()).toBe(1);
    pass(500);
    expect(spendAll()).toBe(5);
    pass(3_600_000);
    expect(spendAll()).toBe(21);
  });

  test('wait for the work that others before them were', () => {
    const { share, spendAll, pass } = timed();
    share.spend(1, 12_000);
    expect(share.isReady).toBe(false);
    // Half a second is paid for in advance.
    pass(11_499);
    expect(share.isReady).toBe(false);
    pass(1);
    expect(spendAll(100)).toBe(1);
    // Work that is done bit by bit counts without a request.
    pass(100);
    share.spend(0, 50);
    pass(49);
    expect(share.isReady).toBe(false);
    pass(1);
    expect(share.isReady).toBe(true);
  });

  test('of one user wait for those in all connections, also for those that have ended', () => {
    const { share, quotas, spendAll, pass } = timed();
    const [beside, other] = [opened(quotas, anna, slow), opened(quotas, ben, slow)];
    spendAll();
    beside.close();
    share.close();
    expect([...quotas.usages()].map(({ uid }) => uid)).toEqual([ben]);
    expect(other.isReady).toBe(true);
    expect(opened(quotas, anna, slow).isReady).toBe(false);
    pass(100);
    expect(opened(quotas, anna, slow).isReady).toBe(true);
  });

  test('whatever the pauses and the work, no more work is done than time has paid for, but for a burst and one request', () => {
    const step = fc.record({ pause: fc.nat(3000), work: fc.nat(5000) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const { share, pass } = timed();
        let [time, requests, work] = [0, 0, 0];
        for (const { pause, work: asked } of steps) {
          pass(pause);
          time += pause;
          if (!share.isReady) continue;
          share.spend(1, asked);
          requests++;
          work += asked;
          expect(requests - 1).toBeLessThanOrEqual(((time + 2000) * slow.requestsPerSecond) / 1000 + 1e-6);
          expect(work - asked).toBeLessThanOrEqual(((time + 2000) * slow.workPerSecond) / 1000 + 1e-6);
        }
      }),
    );
  });

  test('whoever has not taken more than an even part of the work goes on beside one who has', () => {
    const { share, quotas, pass } = timed();
    const modest = opened(quotas, anna, slow);
    expect(share.pay(400)).toBe(true);
    expect(modest.pay(200)).toBe(true);
    expect(share.pay(0)).toBe(false);
    expect(modest.isReady).toBe(false);
    // An even part is 500 a second, of which a burst of half a second is there.
    expect(modest.pay(50)).toBe(true);
    expect(modest.pay(50)).toBe(false);
    pass(200);
    expect([share.pay(0), modest.pay(0)]).toEqual([true, true]);
  });

  test('debts of many users who came once are forgotten when they are paid', () => {
    let now = 0;
    const quotas = new Quotas(() => now);
    for (let uid = 0; uid < 10_000; uid++) {
      const share = opened(quotas, uid, slow);
      share.spend(1, 0);
      share.close();
      now += 10;
    }
    // Each is in debt for 2 s, that is 200 of them at a time; what is held besides is paid and not looked at yet.
    expect(quotas.size).toBeLessThan(1000);
  });
});

describe('turns', () => {
  const brisk: Limits = { ...defaultLimits, requestsPerSecond: 500 };

  /** Uses up what may be spent at once. */
  const exhaust = (share: Share): void => share.spend(1001, 0);

  test('come in the order in which they were asked for, no faster than the rate', async () => {
    const quotas = new Quotas();
    const shares = Array.from({ length: 5 }, () => opened(quotas, anna, brisk));
    exhaust(shares[0] as Share);
    const start = performance.now();
    const turns: { which: number; at: number }[] = [];
    const take = (which: number): void => {
      const share = shares[which] as Share;
      share.wait(() => {
        turns.push({ which, at: performance.now() });
        share.spend(1, 0);
        if (turns.length <= 95) take(which);
      });
    };
    shares.forEach((_, which) => take(which));
    await until('100 turns', () => turns.length === 100);
    expect(turns.map(({ which }) => which)).toEqual(Array.from({ length: 100 }, (_, index) => index % 5));
    turns.forEach(({ at }, index) => expect(at - start).toBeGreaterThanOrEqual((index + 1) * 2 - 2));
  });

  test('are not overtaken by those who come later', async () => {
    const quotas = new Quotas();
    const [first, second] = [opened(quotas, anna, brisk), opened(quotas, anna, brisk)];
    let served = false;
    first.wait(() => (served = true));
    expect(second.isReady).toBe(false);
    await until('the turn', () => served);
    expect(second.isReady).toBe(true);
  });

  test('are given to requests and to pieces of what is long in turn', async () => {
    const share = opened(new Quotas(), anna, brisk);
    exhaust(share);
    const served: string[] = [];
    const wait = (what: string, isPiece: boolean): void => {
      share.wait(() => {
        share.spend(1, 0);
        served.push(what);
      }, isPiece);
    };
    for (const what of ['a', 'b', 'c', 'd']) wait(what, true);
    for (const what of ['1', '2']) wait(what, false);
    await until('all turns', () => served.length === 6);
    expect(served.join('')).toBe('1a2bcd');
  });

  test('that are given up go to the next in line', async () => {
    const quotas = new Quotas();
    const share = opened(quotas, anna, brisk);
    exhaust(share);
    const served: number[] = [];
    const leave = [1, 2, 3].map((which) => share.wait(() => served.push(which)));
    leave[0]?.();
    leave[0]?.();
    await until('two turns', () => served.length === 2);
    expect(served).toEqual([2, 3]);
    leave[2]?.();
    const last = share.wait(() => served.push(4));
    last();
    expect(share.isReady).toBe(true);
  });
});
