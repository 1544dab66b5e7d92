/*
 * What one client has said and was not answered yet.
 *
 * Idea: what comes is decoded frame by frame, and only as fast as it is answered: a client that does not
 * read its answers, or whose user has asked for too much, is not read either.
 * Invariant: beyond what one read of the socket brings, nothing piles up here.
 */
import type { Socket } from 'node:net';
import {
  checkStructure,
  clientStructure,
  FrameDecoder,
  maxClientPayload,
  ProcbusError,
  unpack,
} from '@procbus/protocol';
import { takenSince, threadTime } from '../libc.ts';
import type { Share } from './quota.ts';

/** What an inbox asks of its session. */
export interface Reader {
  /** Whether the next request has to wait: for what was answered to be read, or to be told in full. */
  isBusy(): boolean;
  /** Whether the client has said hello. */
  hasGreeted(): boolean;
  /** Answers a message. */
  answer(value: unknown): void;
  /** The client will say no more, and all has been answered. */
  finish(): void;
  /** What the client says cannot be followed any further. */
  giveUp(error: unknown): void;
}

export class Inbox {
  readonly #socket: Socket;
  readonly #share: Share;
  readonly #reader: Reader;
  /** How long a client may take to say hello, and to finish a frame that it has begun, in ms. */
  readonly #patience: number;
  readonly #decoder = new FrameDecoder(maxClientPayload);
  /** What came and is not decoded yet, and the frames of the piece that is being decoded. */
  readonly #chunks: Buffer[] = [];
  #payloads: Generator<Buffer, void, undefined> | undefined;
  /** Gives up the place in the line of the user's requests. */
  #leaveLine: (() => void) | undefined;
  #deadline: NodeJS.Timeout | undefined;
  /** Whether the client has said all that it will ever say. */
  #heardAll = false;
  #closed = false;

  constructor(socket: Socket, share: Share, patience: number, reader: Reader) {
    this.#socket = socket;
    this.#share = share;
    this.#patience = patience;
    this.#reader = reader;
    socket.on('data', (chunk) => {
      // Nobody listens any more to one who has been told to go.
      if (this.#closed) return;
      this.#chunks.push(chunk);
      this.work();
    });
    socket.on('end', () => {
      this.#heardAll = true;
      this.work();
    });
    this.#expectMore();
  }

  /** Decodes and has answered what has come, as far as it may be answered now. */
  work(): void {
    while (!this.#closed && this.#leaveLine === undefined) {
      if (this.#reader.isBusy()) return this.#pause();
      if (this.#payloads === undefined && this.#chunks.length === 0) return this.#waitForMore();
      if (!this.#share.isReady) return this.#standInLine();
      this.#answerNext();
    }
  }

  /** Hears nothing more. */
  close(): void {
    this.#closed = true;
    this.#stopExpecting();
    this.#leaveLine?.();
    this.#leaveLine = undefined;
  }

  /** Everything has been answered. */
  #waitForMore(): void {
    if (this.#heardAll) {
      this.#reader.finish();
    } else {
      this.#expectMore();
      this.#socket.resume();
    }
  }

  /** Nothing is heard, and so nothing expected. */
  #pause(): void {
    this.#stopExpecting();
    this.#socket.pause();
  }

  #standInLine(): void {
    this.#pause();
    this.#leaveLine = this.#share.wait(() => {
      this.#leaveLine = undefined;
      this.#answerNext();
      this.work();
    });
  }

  /** Has the next frame answered, if one is complete, and charges the time that it takes. */
  #answerNext(): void {
    const begun = threadTime();
    try {
      this.#payloads ??= this.#decoder.push(this.#chunks.shift() as Buffer);
      const { value: payload, done } = this.#payloads.next();
      if (done === true) {
        this.#payloads = undefined;
        return;
      }
      this.#stopExpecting();
      checkStructure(payload, clientStructure);
      this.#share.spend(1, 0);
      this.#reader.answer(unpack(payload));
    } catch (error) {
      // Where a frame cannot be read, the rest of the stream cannot be trusted either.
      this.#reader.giveUp(error);
    } finally {
      this.#share.spend(0, takenSince(begun));
    }
  }

  /** A hello, and the rest of a frame that has begun, have to come soon. */
  #expectMore(): void {
    const hasGreeted = this.#reader.hasGreeted();
    if (hasGreeted && this.#decoder.pending === 0) return;
    this.#deadline ??= setTimeout(() => {
      const [code, what] = hasGreeted
        ? (['bad-frame', 'half a frame'] as const)
        : (['hello-expected', 'no hello'] as const);
      this.#reader.giveUp(new ProcbusError(code, `${what} within ${this.#patience / 1000} s`));
    }, this.#patience);
  }

  #stopExpecting(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }
}
