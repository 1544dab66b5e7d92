/*
 * A place to begin at, as it is typed: a cursor, so long ago, or a time.
 */
import { parseCursor, ProcbusError } from '@procbus/protocol';
import { parseDuration } from './duration.ts';

const clock = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/;
const duration = /^[0-9.]+[a-z]+$/;
const date = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}:\d{2})?)?$/;

/**
 * Reads a cursor (`EPOCH:SEQ`), a duration (`30s`: so long ago), a time of day (`10:15`: today, or yesterday if
 * that is still to come) or a date, with a time or without. Times are local, unless they say otherwise.
 *
 * @param flag - names the option in the error
 * @throws ProcbusError `usage`
 */
export function parseSince(flag: string, text: string, now: Date = new Date()): string | Date {
  // A time of day, also one that is none, has the form of a cursor; but no epoch is that short.
  const since = /^\d{1,2}:/.test(text)
    ? parseClock(text, now)
    : (parseAgo(flag, text, now) ?? parseDate(text) ?? parsePlace(text));
  if (since === undefined) {
    throw new ProcbusError(
      'usage',
      `${flag} ${text}: neither a cursor nor a time, such as 30s, 10:15 or 2026-11-22T10:15`,
    );
  }
  if (since instanceof Date && since > now) {
    throw new ProcbusError('usage', `${flag} ${text}: a time that is still to come`);
  }
  return since;
}

function parseClock(text: string, now: Date): Date | undefined {
  const [, ...parts] = clock.exec(text) ?? [];
  const [hours = Number.NaN, minutes = Number.NaN, seconds = 0] = parts.map((part: string | undefined) =>
    part === undefined ? undefined : Number(part),
  );
  if (!(hours <= 23 && minutes <= 59 && seconds <= 59)) return undefined;
  const time = new Date(now);
  time.setHours(hours, minutes, seconds, 0);
  if (time > now) {
    // Set anew, as a day has not always 24 hours.
    time.setDate(now.getDate() - 1);
    time.setHours(hours, minutes, seconds, 0);
  }
  return time;
}

function parseAgo(flag: string, text: string, now: Date): Date | undefined {
  if (!duration.test(text)) return undefined;
  return new Date(now.getTime() - parseDuration(flag, text, now.getTime()));
}

function parseDate(text: string): Date | undefined {
  const [, day, time = '00:00', zone = ''] = date.exec(text) ?? [];
  if (day === undefined || !isDay(day)) return undefined;
  const parsed = new Date(`${day}T${time}${zone}`);
  return Number.isNaN(parsed.getTime()) ? undefined : parsed;
}

/** Whether a month has a day: Date takes the 31st of any. */
function isDay(day: string): boolean {
  const parsed = new Date(`${day}T00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(day);
}

function parsePlace(text: string): string | undefined {
  try {
    parseCursor(text);
    return text;
  } catch {
    return undefined;
  }
}
