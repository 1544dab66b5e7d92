/*
 * Durations, as they are written: 10ms, 2s, 5m.
 */
import ms from 'ms';
import { ProcbusError } from '@procbus/protocol';

/**
 * Reads a duration, in ms.
 *
 * @param flag - names the option in the error
 * @param most - the longest that is accepted, in ms
 * @throws ProcbusError `usage`
 */
export function parseDuration(flag: string, text: string, most: number = Infinity): number {
  const duration = /^[0-9.]+(ms|s|m|h|d)$/.test(text) ? ms(text as ms.StringValue) : Number.NaN;
  if (duration > 0 && duration <= most) return duration;
  const limit = most === Infinity ? '' : ` up to ${formatLimit(most)}`;
  throw new ProcbusError('usage', `${flag} ${text}: not a time${limit}, such as 500ms, 10s, 5m or 2h`);
}

function formatLimit(most: number): string {
  const days = Math.floor(most / ms('1d'));
  return days > 0 ? `${days} days` : `${most / 1000} seconds`;
}

/** Seconds, to three digits or so: `0.32ms`, `98.8ms`, `1.32s`, `5m03s`, `3h05m`, `12d04h`. */
export function formatDuration(seconds: number): string {
  if (seconds < 0.9995) return `${threeDigits(seconds * 1000)}ms`;
  if (seconds < 59.95) return `${threeDigits(seconds)}s`;
  const whole = Math.round(seconds);
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(whole / unit)) as [
    number,
    number,
    number,
  ];
  if (hours === 0) return `${minutes}m${twoDigits(whole % 60)}s`;
  if (days === 0) return `${hours}h${twoDigits(minutes % 60)}m`;
  return `${days}d${twoDigits(hours % 24)}h`;
}

function threeDigits(value: number): string {
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
