/*
 * The socket to the kernel's proc connector: opened, proven, filtered, drained, given up.
 *
 * "Subscribed" is proven, never assumed: the kernel can ignore the request without a word. The proof
 * is an event of our own making: prctl(PR_SET_NAME) queues a comm event before it returns, so it needs
 * no child, no second program and no waiting, and it gives the helper its name in ps(1). The traps
 * avoided here are listed in docs/architecture.md.
 *
 * A socket can outlive its helper: then the next one goes on with what the kernel has queued meanwhile.
 */
import { readlinkSync } from 'node:fs';
import { ProcbusError, type KernelEvent } from '@procbus/protocol';
import * as libc from '../libc.ts';
import { CN_IDX_PROC, CN_VAL_PROC } from './datagram.ts';
import type { Ledger } from './ledger.ts';
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

/** A socket that somebody keeps when we are gone. */
export interface Kept {
  /** How far its events have come. */
  readonly ledger: Ledger;
  /** The socket itself, as the last helper has left it; undefined for a new one. */
  readonly fd?: number | undefined;
}

/** An open, proven subscription to the kernel's process events. */
export class Connector {
  readonly fd: number;
  /** Bytes the kernel may queue for us, as it counts them. */
  readonly receiveBuffer: number;
  /** Undefined for a socket that ends with us. */
  readonly ledger: Ledger | undefined;
  readonly #ring: Ring;
  readonly #onTaken: (() => void) | undefined;
  readonly #memory = new Uint32Array(9);
  /** What was waiting in a socket that we go on with, as far as nobody has drained it. */
  #backlog: KernelEvent[] = [];
  #dropsSeen = 0;

  /**
   * Opens the connector.
   *
   * @param receiveBuffer - bytes to ask for as the socket's receive buffer
   * @param kept - of a socket that outlives us; it is closed where this fails
   * @throws ProcbusError `connector-missing`, `connector-not-permitted`, `connector-namespace` or
   * `connector-silent`, each saying what would help
   */
  constructor(receiveBuffer: number = defaultReceiveBuffer, { fd, ledger }: Partial<Kept> = {}) {
    checkNamespaces();
    this.fd = fd ?? openSocket();
    this.ledger = ledger;
    this.#ring = new Ring(ledger?.headers);
    this.#onTaken = ledger && (() => ledger.reached++);
    try {
      libc.setSocketOption(this.fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, 1);
      this.receiveBuffer = setReceiveBuffer(this.fd, receiveBuffer);
      if (fd === undefined) this.#begin();
      else this.#goOn();
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
    if (this.#backlog.length > 0) {
      for (const event of this.#backlog.splice(0, Math.max(0, limit - events.length))) events.push(event);
    }
    while (events.length < limit && this.#ring.receive(this.fd, events, this.#onTaken) === ringSlots);
  }

  /** What has left a socket that we go on with, and is not drained. */
  get backlog(): readonly KernelEvent[] {
    return this.#backlog;
  }

  /** How many events the kernel has dropped since the last call, exactly: what did not fit its queue. */
  takeDropped(): number {
    const drops = this.#drops;
    const dropped = (drops - this.#dropsSeen) >>> 0; // a u32 that may wrap
    this.#dropsSeen = drops;
    if (this.ledger !== undefined) {
      this.ledger.drops = drops;
      this.ledger.reached += dropped;
    }
    return dropped;
  }

  /**
   * Gives the subscription up, unless it is kept. On kernels before 6.6 a listener that just closes would still
   * count.
   */
  close(): void {
    try {
      if (this.ledger === undefined) this.#control(PROC_CN_MCAST_IGNORE);
    } finally {
      libc.close(this.fd);
      this.#ring.free();
      this.ledger?.close();
    }
  }

  /**
   * Makes an event of our own and looks for it: whether the kernel tells us anything at all.
   *
   * @param events - where what else was waiting is appended
   */
  hears(events: KernelEvent[]): boolean {
    const begin = libc.monotonicTime();
    const drops = this.#drops;
    libc.setThreadName('procbusd');
    this.drain(events);
    const own = events.findLastIndex(
      ({ type, pid, kernelTime }) => type === 'comm' && pid === process.pid && kernelTime >= begin,
    );
    if (own < 0) {
      // One of those that did not fit was ours.
      if (this.#drops !== drops) this.#dropsSeen = (this.#dropsSeen + 1) >>> 0;
      return false;
    }
    events.splice(own, 1);
    if (this.ledger !== undefined) this.ledger.reached--;
    return true;
  }

  /** What the socket has dropped since it was opened. */
  get #drops(): number {
    libc.getSocketOption(this.fd, libc.SOL_SOCKET, libc.SO_MEMINFO, this.#memory);
    return this.#memory[8] as number;
  }

  /** Subscribes. Doing so again brings events back that another program has switched off, before Linux 6.6. */
  listen(): void {
    this.#control(PROC_CN_MCAST_LISTEN);
  }

  #begin(): void {
    this.setInterest(noInterest);
    this.listen();
    this.#prove([]);
    this.takeDropped();
    if (this.ledger !== undefined) this.ledger.reached = 0;
  }

  /** The filter stays as it is until somebody says what is wanted now. */
  #goOn(): void {
    const waiting: KernelEvent[] = [];
    this.#dropsSeen = this.ledger?.drops ?? 0;
    this.#prove(waiting);
    this.#backlog = waiting;
  }

  /** @param waiting - where what was waiting is appended */
  #prove(waiting: KernelEvent[]): void {
    // What came before may have left no room for ours; then the second one has it.
    if (!this.hears(waiting) && !this.hears(waiting)) throw silence();
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

/** Whether a descriptor is a socket of the connector. */
export function isConnectorSocket(fd: number): boolean {
  return (
    libc.socketOption(fd, libc.SOL_SOCKET, libc.SO_DOMAIN) === libc.AF_NETLINK &&
    libc.socketOption(fd, libc.SOL_SOCKET, libc.SO_PROTOCOL) === NETLINK_CONNECTOR
  );
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
