/*
 * The memory that datagrams are received into: slots set up once, filled by recvmmsg(2), decoded
 * where they lie. What one `receive` brought is overwritten by the next.
 */
import type { KernelEvent } from '@procbus/protocol';
import { allocate, receiveMany, type NativeMemory } from '../libc.ts';
import { decodeDatagram, offsets } from './datagram.ts';

/** Datagrams received by one system call at most. */
export const ringSlots = 512;

const slotBytes = 128;
/** A datagram begins 4 bytes into its slot, so that its 64-bit timestamp, at 44, is aligned. */
const slotOffset = 4;
/** `struct mmsghdr`, `struct iovec` and `struct sockaddr_nl` (12 bytes, padded). */
const headerBytes = 64;
/** Where `msg_len` is in the first, in words. */
const lengthAt = 56 / 4;
const vectorBytes = 16;
const senderBytes = 16;

/** What the headers of all slots take. */
export const headersBytes: number = ringSlots * headerBytes;

/** How many datagrams lie in a ring, by its headers, that were received and not yet taken. */
export function receivedIn({ buffer }: NativeMemory): number {
  const words = new Uint32Array(buffer);
  let received = 0;
  for (let slot = 0; slot < ringSlots; slot++) {
    if (words[(slot * headerBytes) / 4 + lengthAt] !== 0) received++;
  }
  return received;
}

export class Ring {
  readonly #slots: NativeMemory = allocate(ringSlots * slotBytes);
  readonly #headers: NativeMemory;
  readonly #vectors: NativeMemory = allocate(ringSlots * vectorBytes);
  readonly #senders: NativeMemory = allocate(ringSlots * senderBytes);
  readonly #words = new Uint32Array(this.#slots.buffer);
  readonly #times = new BigUint64Array(this.#slots.buffer);
  readonly #lengths: Uint32Array;
  readonly #senderWords = new Uint32Array(this.#senders.buffer);

  readonly #own: NativeMemory[] = [this.#slots, this.#vectors, this.#senders];

  /** @param sharedHeaders - memory for the headers that somebody else has made, and frees; of {@link headersBytes} */
  constructor(sharedHeaders?: NativeMemory) {
    this.#headers = sharedHeaders ?? allocate(headersBytes);
    if (sharedHeaders === undefined) this.#own.push(this.#headers);
    this.#lengths = new Uint32Array(this.#headers.buffer);
    const vectors = new BigUint64Array(this.#vectors.buffer);
    const headers = new BigUint64Array(this.#headers.buffer).fill(0n);
    for (let slot = 0; slot < ringSlots; slot++) {
      const datagram = this.#slots.address + BigInt(slot * slotBytes + slotOffset);
      vectors.set([datagram, BigInt(slotBytes - slotOffset)], (slot * vectorBytes) / 8);
      const sender = this.#senders.address + BigInt(slot * senderBytes);
      const vector = this.#vectors.address + BigInt(slot * vectorBytes);
      // msg_name, msg_namelen, msg_iov, msg_iovlen; the rest stays 0.
      headers.set([sender, 12n, vector, 1n], (slot * headerBytes) / 8);
    }
  }

  /**
   * Receives what is waiting, without waiting, and appends the events in it.
   *
   * @param onTaken - told of each event, in the moment in which its header stops telling of it
   * @returns how many datagrams there were; less than {@link ringSlots} when the queue is empty
   */
  receive(fd: number, events: KernelEvent[], onTaken?: () => void): number {
    const received = receiveMany(fd, this.#headers.address, ringSlots);
    for (let slot = 0; slot < received; slot++) {
      const event = this.#read(slot);
      if (event !== undefined) events.push(event);
      this.#lengths[(slot * headerBytes) / 4 + lengthAt] = 0;
      if (event !== undefined) onTaken?.();
    }
    return received;
  }

  #read(slot: number): KernelEvent | undefined {
    // nl_pid, the sender: only the kernel's is 0; a privileged program could send to us as well.
    if (this.#senderWords[(slot * senderBytes) / 4 + 1] !== 0) return undefined;
    const at = slot * slotBytes + slotOffset;
    const bytes = this.#lengths[(slot * headerBytes) / 4 + lengthAt] as number;
    const kernelTime = this.#times[(at + offsets.time) / 8] as bigint;
    return decodeDatagram(this.#words, at / 4, bytes, kernelTime);
  }

  free(): void {
    for (const memory of this.#own) memory.free();
  }
}
