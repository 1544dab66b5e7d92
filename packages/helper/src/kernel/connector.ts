/*
 * The socket to the kernel's proc connector: opened, proven, filtered, drained, given up.
 *
 * "Subscribed" is proven, never assumed: the kernel can ignore the request without a word. The proof
 * is an event of our own making: prctl(PR_SET_NAME) queues a comm event before it returns, so it needs
 * no child, no second program and no waiting, and it gives the helper its name in ps(1). The traps
 * avoided here are listed in docs/architecture.md.
 */
import { readlinkSync } from 'node:fs';
import { ProcbusError, type KernelEvent } from '@procbus/protocol';
import * as libc from '../libc.ts';
import { CN_IDX_PROC, CN_VAL_PROC } from './datagram.ts';
import { Ring, ringSlots } from './ring.ts';
import { assemble, onlyOn, socketFilter, type CpuShare, type Interest } from './socket-filter.ts';

const NETLINK_CONNECTOR = 11;
const SOL_NETLINK = 270;
const NETLINK_NO_ENOBUFS = 5;
const PROC_CN_MCAST_LISTEN = 1;
const PROC_CN_MCAST_IGNORE = 2;

/** Asked of the kernel unless told otherwise: 64 MiB, which it doubles; about 160,000 events. */
export const defaultReceiveBuffer: number = 64 * 1024 * 1024;

/** Nobody wants anything; our own comm events come all the same. */
const noInterest: Interest = { processes: new Set(), threads: new Set() };

/** An open, proven subscription to the kernel's process events. */
export class Connector {
  readonly fd: number;
  /** Bytes the kernel may queue for us, as it counts them. */
  readonly receiveBuffer: number;
  readonly #ring = new Ring();
  readonly #memory = new Uint32Array(9);
  #dropsSeen = 0;

  /**
   * Opens the connector.
   *
   * @param receiveBuffer - bytes to ask for as the socket's receive buffer
   * @throws ProcbusError `connector-missing`, `connector-not-permitted`, `connector-namespace` or
   * `connector-silent`, each saying what would help
   */
  constructor(receiveBuffer: number = defaultReceiveBuffer) {
    checkNamespaces();
    this.fd = openSocket();
    try {
      libc.setSocketOption(this.fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, 1);
      this.receiveBuffer = setReceiveBuffer(this.fd, receiveBuffer);
      this.setInterest(noInterest);
      this.listen();
      this.#prove();
    } catch (error) {
      this.#ring.free();
      libc.close(this.fd);
      throw error;
    }
  }

  /**
   * Loads the kernel filter for what is wanted now. Events queued before pass unchanged.
   *
   * @param share - only what happens on these CPUs
   */
  setInterest(interest: Interest, share?: CpuShare): void {
    const onShare = share === undefined ? [] : onlyOn(share);
    libc.attachFilter(this.fd, assemble([...onShare, ...socketFilter(interest, process.pid)]));
  }

  /**
   * Takes the events that are waiting, without waiting for more.
   *
   * @param events - where they are appended
   * @param limit - stops when there are about so many
   */
  drain(events: KernelEvent[], limit: number = Infinity): void {
    while (events.length < limit && this.#ring.receive(this.fd, events) === ringSlots);
  }

  /** How many events the kernel has dropped since the last call, exactly: what did not fit its queue. */
  takeDropped(): number {
    libc.getSocketOption(this.fd, libc.SOL_SOCKET, libc.SO_MEMINFO, this.#memory);
    const drops = this.#memory[8] as number;
    const dropped = (drops - this.#dropsSeen) >>> 0; // a u32 that may wrap
    this.#dropsSeen = drops;
    return dropped;
  }

  /** Gives the subscription up. On kernels before 6.6 a listener that just closes would still count. */
  close(): void {
    try {
      this.#control(PROC_CN_MCAST_IGNORE);
    } finally {
      libc.close(this.fd);
      this.#ring.free();
    }
  }

  /**
   * Makes an event of our own and looks for it: whether the kernel tells us anything at all.
   *
   * @param events - where what else was waiting is appended
   */
  hears(events: KernelEvent[]): boolean {
    libc.setThreadName('procbusd');
    this.drain(events);
    const own = events.findLastIndex((event) => event.type === 'comm' && event.pid === process.pid);
    if (own >= 0) events.splice(own, 1);
    return own >= 0;
  }

  /** Subscribes. Doing so again brings events back that another program has switched off, before Linux 6.6. */
  listen(): void {
    this.#control(PROC_CN_MCAST_LISTEN);
  }

  #prove(): void {
    // What came before the filter was loaded may have left no room for ours; then the second one has it.
    if (!this.hears([]) && !this.hears([])) throw silence();
    this.takeDropped();
  }

  #control(operation: number): void {
    try {
      libc.send(this.fd, controlMessage(operation));
    } catch (cause) {
      if (!(cause instanceof libc.SystemError)) throw cause;
      if (cause.code === 'ECONNREFUSED') throw otherNamespace('network', cause);
      if (cause.code === 'EPERM') throw notPermitted(cause);
      throw cause;
    }
  }
}

function openSocket(): number {
  let fd: number;
  try {
    fd = libc.socket(
      libc.AF_NETLINK,
      libc.SOCK_DGRAM | libc.SOCK_CLOEXEC | libc.SOCK_NONBLOCK,
      NETLINK_CONNECTOR,
    );
  } catch (cause) {
    throw new ProcbusError('connector-missing', 'this kernel has no connector for process events', {
      remedy:
        'It needs a kernel with CONFIG_CONNECTOR=y and CONFIG_PROC_EVENTS=y, as most distributions ship.',
      cause,
    });
  }
  try {
    // struct sockaddr_nl. nl_pid stays 0, the kernel chooses: two sockets cannot share a number.
    const address = new Uint32Array([0, 0, CN_IDX_PROC]);
    new Uint16Array(address.buffer)[0] = libc.AF_NETLINK;
    libc.bind(fd, new Uint8Array(address.buffer));
    return fd;
  } catch (cause) {
    libc.close(fd);
    if (cause instanceof libc.SystemError && cause.code === 'EPERM') throw notPermitted(cause);
    throw cause;
  }
}

function setReceiveBuffer(fd: number, bytes: number): number {
  try {
    libc.setSocketOption(fd, libc.SOL_SOCKET, libc.SO_RCVBUFFORCE, bytes);
  } catch {
    // Without CAP_NET_ADMIN the limit is net.core.rmem_max; what was granted is logged.
    libc.setSocketOption(fd, libc.SOL_SOCKET, libc.SO_RCVBUF, bytes);
  }
  const granted = new Uint32Array(1);
  libc.getSocketOption(fd, libc.SOL_SOCKET, libc.SO_RCVBUF, granted);
  return granted[0] as number;
}

/** nlmsghdr, cn_msg and one `enum proc_cn_mcast_op`. */
function controlMessage(operation: number): Uint8Array {
  const NLMSG_DONE = 3;
  const words = new Uint32Array(10);
  const halves = new Uint16Array(words.buffer);
  words[0] = words.byteLength;
  halves[2] = NLMSG_DONE;
  words[4] = CN_IDX_PROC;
  words[5] = CN_VAL_PROC;
  halves[16] = 4; // cn_msg.len
  words[9] = operation;
  return new Uint8Array(words.buffer);
}

/**
 * Refuses to subscribe where the kernel would ignore it. The proof alone would not tell: as long as
 * another program listens, its events reach every socket of the group, and then they stop.
 */
function checkNamespaces(): void {
  // The inode numbers of the initial namespaces are fixed, see linux/proc_ns.h.
  const initial = { user: 0xeffffffd, pid: 0xeffffffc };
  for (const [kind, inode] of Object.entries(initial)) {
    if (readlinkSync(`/proc/self/ns/${kind}`) !== `${kind}:[${inode}]`) throw otherNamespace(kind);
  }
}

function silence(): ProcbusError {
  return new ProcbusError('connector-silent', 'the kernel accepted the subscription but tells no events', {
    remedy:
      'Another program may have switched them off, or the kernel lacks CONFIG_PROC_EVENTS=y. ' +
      'Look for other listeners in /proc/net/netlink (Eth 11), stop them and try again.',
  });
}

function otherNamespace(kind: string, cause?: unknown): ProcbusError {
  return new ProcbusError(
    'connector-namespace',
    `the kernel tells process events only in its initial namespaces, and this is another ${kind} namespace (a container?)`,
    {
      remedy: 'Run procbusd on the host and mount its socket here, at /run/procbus/procbus.sock',
      cause,
    },
  );
}

function notPermitted(cause: unknown): ProcbusError {
  return new ProcbusError(
    'connector-not-permitted',
    'this kernel lets only a privileged program subscribe to process events',
    {
      remedy:
        'Run it as root or with CAP_NET_ADMIN, or have an administrator run procbusd and connect to its socket. ' +
        'Linux 6.6 and later allow any user.',
      cause,
    },
  );
}
