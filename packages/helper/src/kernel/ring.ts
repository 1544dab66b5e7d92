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
const vectorBytes = 16;
const senderBytes = 16;

export class Ring {
  readonly #slots: NativeMemory = allocate(ringSlots * slotBytes);
  readonly #headers: NativeMemory = allocate(ringSlots * headerBytes);
  readonly #vectors: NativeMemory = allocate(ringSlots * vectorBytes);
  readonly #senders: NativeMemory = allocate(ringSlots * senderBytes);
  readonly #words = new Uint32Array(this.#slots.buffer);
  readonly #times = new BigUint64Array(this.#slots.buffer);
  readonly #lengths = new Uint32Array(this.#headers.buffer);
  readonly #senderWords = new Uint32Array(this.#senders.buffer);

  constructor() {
    const vectors = new BigUint64Array(this.#vectors.buffer);
    const headers = new BigUint64Array(this.#headers.buffer);
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
   * @returns how many datagrams there were; less than {@link ringSlots} when the queue is empty
   */
  receive(fd: number, events: KernelEvent[]): number {
    const received = receiveMany(fd, this.#headers.address, ringSlots);
    for (let slot = 0; slot < received; slot++) {
      // nl_pid, the sender: only the kernel's is 0; a privileged program could send to us as well.
      if (this.#senderWords[(slot * senderBytes) / 4 + 1] !== 0) continue;
      const at = slot * slotBytes + slotOffset;
      const bytes = this.#lengths[(slot * headerBytes + 56) / 4] as number;
      const kernelTime = this.#times[(at + offsets.time) / 8] as bigint;
      const event = decodeDatagram(this.#words, at / 4, bytes, kernelTime);
      if (event !== undefined) events.push(event);
    }
    return received;
  }

  free(): void {
    for (const memory of [this.#slots, this.#headers, this.#vectors, this.#senders]) memory.free();
  }
}
