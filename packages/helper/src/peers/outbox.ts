/*
 * What waits to be sent to one client.
 *
 * Idea: the socket's own write queue is the outbox, with a bound. A client that does not read fills
 * it; from then on its events are dropped and counted, until all that was queued has been read. Then
 * it is told what it lost, in its place, and events flow again.
 * Invariants: for each subscription, events queued + events counted as lost = events that matched. What is
 * queued is charged to the client's user, and discharged when it is read or the connection ends.
 * Trade-off: dropping ends only when the outbox is empty, so that a slow client sees few large
 * holes rather than many small ones. Replies to requests are never dropped; the session stops
 * reading requests while they pile up.
 */
import type { Socket } from 'node:net';
import { helperMessage, joinLosses, packEventsHead, packFrame, type Loss } from '@procbus/protocol';
import type { Delivery } from '../bus/receiver.ts';
import type { Share } from './quota.ts';

/** Bytes that may wait for one client. The packed events are shared by all that wait for them. */
export const defaultOutboxLimit: number = 4 * 1024 * 1024;

export class Outbox {
  /** Events queued for this client so far. */
  delivered = 0;
  /** Events dropped for this client so far. */
  dropped = 0;

  readonly #socket: Socket;
  readonly #share: Pick<Share, 'queue' | 'isQueueFull'>;
  readonly #limit: number;
  /** What each subscription lost since the outbox filled up; at most one loss of each kind. */
  readonly #untold = new Map<number, Loss[]>();
  readonly #onWritten = (): void => {
    this.#settle();
    // There is no drain where little waited.
    if (this.#dropping && this.#socket.writableLength === 0) this.#resume();
  };
  #dropping = false;
  #charged = 0;
  /** Since when something has waited, in ms. */
  #waitingSince = 0;

  constructor(
    socket: Socket,
    share: Pick<Share, 'queue' | 'isQueueFull'>,
    limit: number = defaultOutboxLimit,
  ) {
    this.#socket = socket;
    this.#share = share;
    this.#limit = limit;
    socket.on('drain', () => this.#resume());
  }

  /** Whether the client has left so much unread that its requests should wait. */
  get full(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** Bytes that wait. */
  get queuedBytes(): number {
    return this.#charged;
  }

  /** How long the oldest of what waits has waited at most, in seconds. */
  get lag(): number {
    return this.#charged === 0 ? 0 : (performance.now() - this.#waitingSince) / 1000;
  }

  /** Queues a message that must not be lost. */
  send(message: readonly unknown[]): void {
    if (!this.#socket.writable) return;
    this.#socket.write(packFrame(message), this.#onWritten);
    this.#settle();
  }

  /** Queues a frame whose end is packed already, and shared. */
  sendPacked(head: Buffer, packed: Buffer): void {
    if (!this.#socket.writable) return;
    this.#socket.cork();
    this.#socket.write(head);
    this.#socket.write(packed, this.#onWritten);
    this.#socket.uncork();
    this.#settle();
  }

  /** Queues events, or drops and counts them; returns whether they were queued. */
  deliver(subscription: number, delivery: Delivery): boolean {
    if (this.#isFull(delivery.packed.length)) {
      const { count, from, to, clockOffset, kernelTime } = delivery;
      this.dropped += count;
      if (count > 0) {
        this.#remember(subscription, { where: 'queue', count, from, to, clockOffset, kernelTime });
      }
      return count === 0;
    }
    this.#queueEvents(subscription, delivery);
    return true;
  }

  /** Queues events from the journal, which come no faster than they are read: they are never dropped. */
  replay(subscription: number, delivery: Delivery): void {
    // What was dropped lies before.
    this.#tellLosses(subscription);
    this.#queueEvents(subscription, delivery);
  }

  /** Tells a subscription of a loss, now or when there is room again. */
  lose(subscription: number, loss: Loss): void {
    if (this.#isFull(0)) this.#remember(subscription, loss);
    else this.tell(subscription, loss);
  }

  /** Tells a subscription of a loss, now. */
  tell(subscription: number, loss: Loss): void {
    this.#tellLosses(subscription);
    this.send(helperMessage.lost(subscription, loss));
  }

  /** Forgets what a subscription that ended was not told yet. */
  forget(subscription: number): void {
    this.#untold.delete(subscription);
  }

  /** Discharges what is queued, as nobody will read it. */
  close(): void {
    this.#charge(0);
  }

  /** Once full, it stays so until all of it has been read. */
  #isFull(more: number): boolean {
    const { writableLength } = this.#socket;
    // One who has read everything can take a batch that is larger than the limit.
    const isOverLimit = writableLength > 0 && writableLength + more > this.#limit;
    this.#dropping ||= isOverLimit || this.#share.isQueueFull(more);
    return this.#dropping;
  }

  #queueEvents(subscription: number, { seq, clockOffset, packed, count }: Delivery): void {
    this.delivered += count;
    this.sendPacked(packEventsHead(subscription, seq, clockOffset, packed.length), packed);
  }

  #remember(subscription: number, loss: Loss): void {
    const losses = this.#untold.get(subscription) ?? [];
    const same = losses.findIndex(({ where }) => where === loss.where);
    if (same < 0) losses.push(loss);
    else losses[same] = joinLosses(losses[same] as Loss, loss);
    this.#untold.set(subscription, losses);
    // What filled up is what other connections of the user may queue: nothing of ours will be read and end it.
    if (this.#socket.writableLength === 0) this.#resume();
  }

  #resume(): void {
    this.#dropping = false;
    for (const subscription of this.#untold.keys()) this.#tellLosses(subscription);
  }

  #tellLosses(subscription: number): void {
    const losses = this.#untold.get(subscription) ?? [];
    this.#untold.delete(subscription);
    for (const loss of losses) this.send(helperMessage.lost(subscription, loss));
  }

  /** Charges what is queued by now. */
  #settle(): void {
    if (!this.#socket.destroyed) this.#charge(this.#socket.writableLength);
  }

  #charge(bytes: number): void {
    if (bytes === this.#charged) return;
    if (this.#charged === 0) this.#waitingSince = performance.now();
    this.#share.queue(bytes - this.#charged);
    this.#charged = bytes;
  }
}
