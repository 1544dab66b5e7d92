import type { Include, ProcessInfo } from '@procbus/protocol';
import { shellWord } from './command-line.ts';

/** What is told of a process beside its name and arguments, as `key=value` with a space between each two. */
export function extrasOf(
  { exe, cwd, cgroup, container, user, ancestors }: Partial<ProcessInfo>,
  wanted?: readonly Include[],
): string {
  const chain = ancestors?.map(({ pid, comm }) => `${pid}:${comm}`).join(',');
  return Object.entries({ user, container, exe, cwd, cgroup, ancestors: chain })
    .filter(([key]) => wanted === undefined || (wanted as readonly string[]).includes(key))
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${shellWord(value)}`]))
    .join(' ');
}
