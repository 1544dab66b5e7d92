import { describe, expect, test } from 'vitest';
import { ancestorsOf, chainLimit, type Portrait } from '../src/processes/portrait.ts';
import { Process, type Facts } from '../src/processes/process.ts';
import { plainFacts } from './support/bus.ts';

/** Processes of which each is the child of the one before. */
function lineage(count: number): Process[] {
  const processes = Array.from({ length: count }, (_, index) => new Process(index + 1, 1n, plainFacts));
  processes.forEach((process, index) => process.adoptBy(processes[index - 1]));
  return processes;
}

/** A shell with a parent, and two children. */
function family(): { init: Process; shell: Process; one: Process; two: Process } {
  const [init, shell, one] = lineage(3) as [Process, Process, Process];
  const two = new Process(4, 1n, plainFacts);
  two.adoptBy(shell);
  return { init, shell, one, two };
}

const pidsAbove = (portrait: Portrait): number[] => ancestorsOf(portrait).map(({ pid }) => pid);

describe('a portrait', () => {
  test('is the same one as long as nothing changes', () => {
    const { shell, one } = family();
    const { portrait } = one;
    shell.endTime = 1n;
    one.status = 0;
    expect(one.portrait).toBe(portrait);
  });

  test('shares what is above it with those of the same parent', () => {
    const { one, two, shell } = family();
    expect(one.portrait.parent).toBe(two.portrait.parent);
    expect(one.portrait.parent?.up).toBe(shell.portrait.parent);
  });

  test.each<[string, (process: Process) => void]>([
    ['facts', (process) => (process.facts = { ...process.facts, args: ['x'] })],
    ['marks', (process) => (process.subtrees = new Set(['x']))],
    ['parent', (process) => process.adoptBy(undefined)],
  ])('is another one when the process has other %s, and the one before stays as it was', (_what, change) => {
    const { one } = family();
    const before = one.portrait;
    const { facts, subtrees, parent } = before;
    change(one);
    expect(one.portrait).not.toBe(before);
    expect(one.portrait).not.toEqual(before);
    expect(before).toMatchObject({ facts, subtrees, parent });
  });

  const changes: [string, Partial<Facts>][] = [
    ['name', { comm: 'other' }],
    ['user', { uid: 1000 }],
    ['user who began its program', { begunBy: 1000 }],
    ['detail', { detail: 'gone' }],
  ];
  test.each(changes)('is another one when somebody above has another %s', (_what, changed) => {
    const { init, shell, one, two } = family();
    for (const above of [init, shell]) {
      const [before, beside] = [one.portrait, two.portrait];
      above.facts = { ...above.facts, ...changed };
      expect(one.portrait).not.toBe(before);
      expect(ancestorsOf(one.portrait).find(({ pid }) => pid === above.pid)).toMatchObject(changed);
      expect(ancestorsOf(before).find(({ pid }) => pid === above.pid)).not.toMatchObject(changed);
      expect(two.portrait).not.toBe(beside);
      expect(two.portrait.parent).toBe(one.portrait.parent);
    }
  });

  test('is the same one when somebody above changes in what is not told of those', () => {
    const { init, shell, one } = family();
    const before = one.portrait;
    for (const above of [init, shell]) above.facts = { ...above.facts, args: ['x'], euid: 7 };
    expect(one.portrait).toBe(before);
  });

  test('is another one when somebody above is given another parent', () => {
    const { init, shell, one } = family();
    const before = one.portrait;
    const other = new Process(9, 1n, plainFacts);
    other.adoptBy(init);
    shell.adoptBy(other);
    expect(pidsAbove(one.portrait)).toEqual([2, 9, 1]);
    expect(pidsAbove(before)).toEqual([2, 1]);
    shell.adoptBy(init);
    expect(pidsAbove(one.portrait)).toEqual([2, 1]);
  });

  test('knows who is above it, nearest first, and below whom it is', () => {
    const { init, shell, one } = family();
    expect(pidsAbove(one.portrait)).toEqual([2, 1]);
    expect([init, shell, one].map(({ id }) => one.portrait.isBelow(id))).toEqual([true, true, false]);
    expect([init, shell, one].map(({ id }) => one.portrait.isWithin(id))).toEqual([false, false, true]);
    expect(init.portrait.parent).toBeUndefined();
  });

  test('of a long lineage names the nearest, as they are now', () => {
    const processes = lineage(3 * chainLimit);
    const last = processes.at(-1) as Process;
    const nearest = processes.slice(-chainLimit - 1, -1).toReversed();
    // Whoever is looked at first, and however often.
    for (const process of [last, ...processes, last]) void process.portrait;
    expect(pidsAbove(last.portrait)).toEqual(nearest.map(({ pid }) => pid));
    const before = last.portrait;
    expect(last.portrait).toBe(before);
    for (const [nth, process] of nearest.entries()) {
      process.facts = { ...process.facts, comm: `renamed ${nth}` };
      expect(last.portrait).not.toBe(before);
      expect(pidsAbove(last.portrait)).toEqual(nearest.map(({ pid }) => pid));
    }
    expect(ancestorsOf(last.portrait).map(({ comm }) => comm)).toEqual(
      nearest.map((_, nth) => `renamed ${nth}`),
    );
    expect(ancestorsOf(before).every(({ comm }) => comm === plainFacts.comm)).toBe(true);
  });

  test('of a long lineage is the same one, whoever else is looked at', () => {
    const processes = lineage(2 * chainLimit);
    const portraits = processes.map(({ portrait }) => portrait);
    expect(processes.map(({ portrait }) => portrait)).toEqual(portraits);
    for (const [nth, process] of processes.entries()) expect(process.portrait).toBe(portraits[nth]);
    const [first] = processes as [Process];
    first.facts = { ...first.facts, comm: 'other' };
    const isSame = processes.map((process, nth) => process.portrait === portraits[nth]);
    expect(isSame.slice(0, 4)).toEqual([false, false, false, false]);
  });

  test('never tells a negative age', () => {
    const { portrait } = new Process(1, 10n, plainFacts);
    expect([portrait.age(5n), portrait.age(1_500_000_010n)]).toEqual([0, 1.5]);
  });
});
