import { release } from 'node:os';

/** Whether this kernel lets anybody subscribe without a privilege, as Linux 6.6 and later do. */
export function anybodyMayListen(): boolean {
  const [major = 0, minor = 0] = release()
    .split('.')
    .map((part) => Number.parseInt(part, 10));
  return major > 6 || (major === 6 && minor >= 6);
}
