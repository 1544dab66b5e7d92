/*
 * Names of users, looked up once each: a lookup may ask a directory service across the network.
 */
import { userNameOf } from '../libc.ts';

/** So many names are remembered; then all are looked up anew. */
const rememberedLimit = 10_000;

const names = new Map<number, string | undefined>();

/** The name of a user, where there is one. */
export function userName(uid: number): string | undefined {
  if (names.has(uid)) return names.get(uid);
  if (names.size >= rememberedLimit) names.clear();
  const name = userNameOf(uid);
  names.set(uid, name);
  return name;
}
