/*
 * What messages are made of, checked as it is taken out of them.
 *
 * Every function throws the ProcbusError `bad-message`, with the name of what is not as it has to be.
 */
import { isMap } from './codec.ts';
import { ProcbusError } from './errors.ts';

export function map(value: unknown, name: string): Record<string, unknown> {
  if (isMap(value)) return value;
  throw malformed(`${name} is not a map`);
}

export function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value.length <= 4096) return value;
  throw malformed(`${name} is not a short string`);
}

export function count(value: unknown, name: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw malformed(`${name} is not a count`);
}

export function id(value: unknown, name: string): number {
  if (isId(value)) return value;
  throw malformed(`${name} is not an integer from 1 to 4294967295`);
}

export function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 0xffffffff;
}

export function malformed(what: string): ProcbusError {
  return new ProcbusError('bad-message', `a message is malformed: ${what}`);
}
