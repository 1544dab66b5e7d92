/*
 * What waits to be sent to one client.
 *
 * Idea: the socket's own write queue is the outbox, with a bound. A client that does not read fills
 * it; from then on its events are dropped and counted, until all that was queued has been read. Then
 * it is told what it lost, in its place, and events flow again.
 * Invariant: for each subscription, events queued + events counted as lost = events that matched.
 * Trade-off: dropping ends only when the outbox is empty, so that a slow client sees few large
 * holes rather than many small ones. Replies to requests are never dropped; the session stops
 * reading requests while they pile up.
 */
import type { Socket } from 'node:net';
import { helperMessage, joinLosses, packFrame, packFrameHead, type Loss } from '@procbus/protocol';
import type { Delivery } from '../bus/broadcast.ts';

/** Bytes that may wait for one client. The packed events are shared by all that wait for them. */
export const defaultOutboxLimit: number = 4 * 1024 * 1024;

export class Outbox {
  /** Events dropped for this client so far. */
  dropped = 0;

  readonly #socket: Socket;
  readonly #limit: number;
  /** What each subscription lost since the outbox filled up; at most one loss of each kind. */
  readonly #untold = new Map<number, Loss[]>();
  #dropping = false;

  constructor(socket: Socket, limit: number = defaultOutboxLimit) {
    this.#socket = socket;
    this.#limit = limit;
    socket.on('drain', () => this.#resume());
  }

  /** Whether the client has left so much unread that its requests should wait. */
  get full(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** Queues a message that must not be lost. */
  send(message: readonly unknown[]): void {
    if (this.#socket.writable) this.#socket.write(packFrame(message));
  }

  /** Queues a message whose last element is packed already. */
  sendPacked(head: readonly unknown[], packed: Buffer): void {
    if (!this.#socket.writable) return;
    this.#socket.cork();
    this.#socket.write(packFrameHead(head, packed.length));
    this.#socket.write(packed);
    this.#socket.uncork();
  }

  /** Queues events, or drops and counts them. */
  deliver(subscription: number, delivery: Delivery): void {
    const { seq, clockOffset, packed } = delivery;
    if (this.#isFull(packed.length)) {
      const { count, from, to, kernelTime } = delivery;
      this.dropped += count;
      this.#remember(subscription, { where: 'queue', count, from, to, clockOffset, kernelTime });
      return;
    }
    this.sendPacked(helperMessage.eventsHead(subscription, seq, clockOffset), packed);
  }

  /** Tells a subscription of a loss, now or when there is room again. */
  lose(subscription: number, loss: Loss): void {
    if (this.#isFull(0)) this.#remember(subscription, loss);
    else this.send(helperMessage.lost(subscription, loss));
  }

  /** Forgets what a subscription that ended was not told yet. */
  forget(subscription: number): void {
    this.#untold.delete(subscription);
  }

  /** Once full, it stays so until all of it has been read. */
  #isFull(more: number): boolean {
    this.#dropping ||= this.#socket.writableLength + more > this.#limit;
    return this.#dropping;
  }

  #remember(subscription: number, loss: Loss): void {
    const losses = this.#untold.get(subscription) ?? [];
    const same = losses.findIndex(({ where }) => where === loss.where);
    if (same < 0) losses.push(loss);
    else losses[same] = joinLosses(losses[same] as Loss, loss);
    this.#untold.set(subscription, losses);
  }

  #resume(): void {
    this.#dropping = false;
    for (const [subscription, losses] of this.#untold) {
      for (const loss of losses) this.send(helperMessage.lost(subscription, loss));
    }
    this.#untold.clear();
  }
}
