/*
 * The process table against a machine that always knows the truth, over histories of all kinds.
 *
 * What no table can know is left out: processes that were hidden before anybody listened, or whose
 * fork was lost while they are; what ran when a program is read so late that it is another one by
 * then; and a pid that comes round between the first event and the scan.
 */
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ancestorsOf } from '../src/processes/portrait.ts';
import { History, type Step } from './support/model-history.ts';
import { deed, type Deed } from './support/model-machine.ts';

const some = (maxLength: number): fc.Arbitrary<Deed[]> => fc.array(deed, { maxLength });
/** In ns. */
const minute = 60_000_000_000n;

const setting = fc.record({ pids: fc.constantFrom(3, 6, 12), isSecretive: fc.boolean() });
const start = fc.tuple(setting, some(12), some(12));

const which = fc.nat({ max: 1000 });
const acting = fc.record({ kind: fc.constant('act' as const), deed });
const losing = fc.record({ kind: fc.constant('lose' as const), deed });
const delivery = fc.record({ kind: fc.constant('deliver' as const), count: fc.nat({ max: 12 }) });
const watching = fc.record({ kind: fc.constantFrom('watch' as const, 'unwatch' as const), which });
const looking = fc.record({ kind: fc.constant('look' as const), ahead: some(6), behind: some(6) });

/** Whatever happens, without loss; and times at which all is compared. */
const lossless: fc.Arbitrary<Step | undefined> = fc.oneof(
  { weight: 12, arbitrary: acting },
  { weight: 3, arbitrary: delivery },
  { weight: 1, arbitrary: watching },
  { weight: 1, arbitrary: fc.constant(undefined) },
);

/** Whatever happens, where the kernel drops some of its events. */
const lossy: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: acting },
  { weight: 6, arbitrary: losing },
  { weight: 3, arbitrary: delivery },
  { weight: 1, arbitrary: watching },
  { weight: 1, arbitrary: looking },
);

describe('the process table', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('is true once all events are applied, and so are subtrees and what was told', () => {
    const long = fc.array(lossless, { maxLength: 150, size: 'max' });
    fc.assert(
      fc.property(start, long, (begin, steps) => {
        const history = new History(...begin);
        for (const step of [undefined, ...steps, undefined]) {
          if (step !== undefined) {
            history.take(step);
            continue;
          }
          const { known, truth } = history.compare();
          expect(known).toEqual(truth);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('is true again after a loss once /proc was looked at, and so is what was told', () => {
    const long = fc.array(lossy, { maxLength: 100, size: 'max' });
    fc.assert(
      fc.property(start, long, looking, (begin, steps, look) => {
        const history = new History(...begin);
        for (const step of [...steps, look]) history.take(step);
        // Whoever came out of hiding since the look was not seen by it.
        if (history.machine.isSecretive) history.look([], []);
        const { known, truth } = history.compare();
        expect(known).toEqual(truth);
      }),
      { numRuns: 1000 },
    );
  });

  test('learns of lost changes of a process whose program it may not read', () => {
    const { history, machine } = begun(3);
    history.act([does('fork', 0)]);
    history.deliver();
    const readAll = machine.readProcess.bind(machine);
    machine.readProcess = (pid) => {
      const found = readAll(pid);
      const closed = { exe: undefined, args: undefined, cwd: undefined, detail: 'partial' } as const;
      return found === undefined ? undefined : { ...found, facts: { ...found.facts, ...closed } };
    };
    history.act([does('uid', 1, 5), does('gid', 1, 5), does('sid', 1), does('comm', 1)], true);
    history.look([], []);
    const { known, truth } = history.compare();
    expect(known).toEqual(truth);
  });

  test('believes an event rather than what was read before it, also where it tells nothing new', () => {
    const { history } = begun(3);
    history.act([does('comm', 0, 3)]);
    history.deliver();
    history.act([does('exec', 0)], true);
    history.look([does('comm', 0, 3)], []);
    const { known, truth } = history.compare();
    expect(known).toEqual(truth);
  });

  test('keeps nothing of those that it forgets', () => {
    fc.assert(
      fc.property(fc.array(deed, { minLength: 500, maxLength: 500 }), (hundreds) => {
        const { history, machine, table } = begun(200);
        for (let round = 0; round < 20; round++) {
          history.act(hundreds);
          history.deliver();
          machine.now += minute / 6n;
        }
        machine.now += 3n * minute;
        const since = machine.now;
        beginAndEnd(history, 1024);
        const { known, truth } = history.compare();
        expect(known).toEqual(truth);
        expect(table.size.ended).toBeLessThanOrEqual(2 * 1024);
        for (const { endTime = 0n } of table.endedBefore(machine.now)) expect(endTime).toBeGreaterThan(since);
      }),
      // To make a history this long smaller would take minutes.
      { numRuns: 5, endOnFailure: true },
    );
  });

  test('remembers no more than it can in a storm', () => {
    const { history, machine, table } = begun(600);
    for (let round = 0; round < 22; round++) {
      beginAndEnd(history, 1000);
      history.deliver();
      expect(table.size.ended).toBeLessThanOrEqual(20_000);
    }
    expect(table.endedBefore(machine.now)).toHaveLength(10_000);
    expect(history.faults).toEqual([]);
  });

  test('has no process descend from itself, even where the pid of one is already that of a descendant', () => {
    const { history, table } = begun(3);
    // Each the child of the one before: 2, 3 and 4.
    for (const who of [0, 1, 2]) history.act([does('fork', who)]);
    history.deliver();
    // 2 and 3 end, and 4 forks another 3; of which the table learns only that 2 has ended.
    history.act([does('exit', 1), does('exit', 1), does('fork', 1, 1)]);
    history.deliver(1);
    expect(history.faults).toEqual([]);
    const { portrait } = table.living.get(4) ?? expect.fail();
    expect(ancestorsOf(portrait).map(({ pid }) => pid)).toEqual([3, 1]);
    const { known, truth } = history.compare();
    expect(known).toEqual(truth);
  });
});

function begun(pids: number): { history: History } & Pick<History, 'machine' | 'table'> {
  const history = new History({ pids, isSecretive: false }, [], []);
  return { history, machine: history.machine, table: history.table };
}

function does(verb: Deed['verb'], who: number, what = 0): Deed {
  return { verb, who, what, pause: 1n };
}

/** Has so many processes begin, and end again. */
function beginAndEnd(history: History, count: number): void {
  for (let what = 0; what < count; what++) {
    history.act([does('fork', 0, what)]);
    history.act([does('exit', history.machine.living.size - 1)]);
  }
}
