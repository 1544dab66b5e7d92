/*
 * The account that goes with every figure: what the load made, each subscriber was told, or was told to have lost.
 */
import type { EventType } from '@procbus/client';
import { made, type LoadKind } from './load.ts';
import type { Account } from './subscriber.ts';

/**
 * Checks what subscribers were told of a load.
 *
 * @param count - how much of it was for them
 * @param types - the events of it that were for them
 * @returns how many events were lost, all together
 * @throws Error where what was told and what was lost is not what there was
 */
export function lostOf(
  accounts: readonly Account[],
  kind: LoadKind,
  count: number,
  types: readonly EventType[] = made[kind],
): number {
  let lost = 0;
  for (const account of accounts) {
    if (account.untold > 0) throw new Error(`${account.untold} events are missing, and nobody told`);
    // Others may have done something meanwhile; the load has done no less than this.
    const missing = types.reduce((sum, type) => sum + Math.max(0, count - (account.events[type] ?? 0)), 0);
    if (missing > account.lost) {
      throw new Error(
        `${missing} events are missing, ${account.lost} were told to be: ${JSON.stringify(account.events)}`,
      );
    }
    lost += account.lost;
  }
  return lost;
}
