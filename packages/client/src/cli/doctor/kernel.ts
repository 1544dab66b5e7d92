/*
 * The kernel: whether it tells process events at all, and to whom.
 */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { gunzipSync } from 'node:zlib';
import type { Check } from './check.ts';

/** What the kernel says of itself. */
export interface KernelFacts {
  /** As `uname -r` has it. */
  readonly release: string;
  /** Its configuration, where it can be read. */
  readonly config: string | undefined;
  /** /proc/net/connector: who speaks through the connector. Only in the initial network namespace. */
  readonly connector: string | undefined;
}

/** What it has to be built with. */
const needed = ['CONFIG_CONNECTOR', 'CONFIG_PROC_EVENTS'];

const howToBoot = `Boot a kernel with ${needed.join('=y and ')}=y, as most distributions ship.`;

/** Looks at the kernel that runs. */
export function readKernel(): KernelFacts {
  const name = release();
  return {
    release: name,
    config:
      contentOf('/proc/config.gz', (bytes) => gunzipSync(bytes).toString('latin1')) ??
      contentOf(`/boot/config-${name}`) ??
      contentOf(`/lib/modules/${name}/config`),
    connector: contentOf('/proc/self/net/connector'),
  };
}

/**
 * Whether the kernel has process events.
 *
 * @param heard - whether a helper hears them, which proves it
 */
export function checkKernel({ release: name, config, connector }: KernelFacts, heard: boolean): Check {
  const kernel = `Linux ${name}`;
  const check = 'kernel';
  if (heard || (connector !== undefined && /^cn_proc\s/m.test(connector))) {
    return { name: check, status: 'ok', what: `${kernel} tells process events (${needed.join(', ')})` };
  }
  const missing = config === undefined ? [] : needed.filter((option) => !isBuiltIn(config, option));
  if (missing.length > 0 || connector !== undefined) {
    const options = missing.length > 0 ? missing : needed.slice(1);
    return {
      name: check,
      status: 'fail',
      what: `${kernel} is built without ${options.join(' and ')}, and tells no process events`,
      remedy: howToBoot,
    };
  }
  if (config !== undefined) {
    return { name: check, status: 'ok', what: `${kernel} is built with ${needed.join(' and ')}` };
  }
  return {
    name: check,
    status: 'skip',
    what: `${kernel} does not say whether it has ${needed.join(' and ')}: neither /proc/config.gz nor /boot/config-${name} can be read`,
  };
}

/** The first version that lets anybody subscribe. */
const openSince = [6, 6] as const;

/** Who may hear the kernel without a helper: a fact to know, and nothing to mend. */
export function checkDirect({ release: name }: KernelFacts): Check {
  const check = 'direct';
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(name) ?? [];
  if (major === undefined || minor === undefined) {
    return { name: check, status: 'skip', what: `no version can be read from ${name}` };
  }
  const [sinceMajor, sinceMinor] = openSince;
  const isOpen = Number(major) > sinceMajor || (Number(major) === sinceMajor && Number(minor) >= sinceMinor);
  return {
    name: check,
    status: 'ok',
    what: isOpen
      ? 'from Linux 6.6 on any user of the machine may hear ids of processes without procbusd'
      : 'before Linux 6.6 only root, or who has CAP_NET_ADMIN, may hear the kernel without procbusd',
  };
}

function isBuiltIn(config: string, option: string): boolean {
  return config.split('\n').includes(`${option}=y`);
}

function contentOf(
  path: string,
  read = (bytes: Buffer): string => bytes.toString('latin1'),
): string | undefined {
  try {
    return read(readFileSync(path));
  } catch {
    return undefined;
  }
}
