/*
 * The hellos: what both sides say first, and what a helper refuses with.
 */
import {
  chooseVersion,
  clientMessage,
  FrameDecoder,
  isErrorCode,
  maxHelperPayload,
  packFrame,
  ProcbusError,
  readHelperMessage,
  versions,
  type HelperHello,
  type HelperMessage,
  type WireError,
} from '@procbus/protocol';
import { software } from './version.ts';
import type { Wire } from './wire.ts';

/** How long a helper may take to answer our hello, in ms: a service manager may have to start it first. */
const helloDeadline = 60_000;

const howToLook = 'Look at what the socket belongs to: ss -xlp';

/** Who takes what a helper says behind its hello. */
export interface Receiver {
  take(message: HelperMessage): void;
  /** The stream cannot be followed any further. */
  abandon(error: unknown): void;
}

/**
 * Greets the helper at the other end of a connected wire.
 *
 * @param begin - makes the receiver when the helper's hello has come
 * @throws ProcbusError `not-a-helper`, `version-mismatch`, `disconnected`, `no-helper` if it does not answer,
 * or what the helper refuses us with
 */
export async function greet<R extends Receiver>(
  { socket, read }: Wire,
  signal: AbortSignal | undefined,
  begin: (hello: HelperHello) => R,
): Promise<R> {
  const decoder = new FrameDecoder(maxHelperPayload);
  return new Promise((resolve, reject) => {
    let receiver: R | undefined;
    const fail = (error: unknown): void => {
      settled();
      socket.destroy();
      reject(error);
    };
    const timeout = setTimeout(() => fail(silent()), helloDeadline);
    const onAbort = (): void => fail(signal?.reason);
    const onClose = (): void =>
      fail(
        new ProcbusError('disconnected', 'the helper closed the connection before it said hello', {
          remedy: 'Its log says why: journalctl -u procbus',
        }),
      );
    const settled = (): void => {
      clearTimeout(timeout);
      signal?.removeEventListener('abort', onAbort);
      socket.off('close', onClose);
    };
    /** What comes first is a hello, or a refusal in its place. */
    const takeFirst = (message: HelperMessage): void => {
      if (message.type === 'unknown') return;
      try {
        const hello = helloOf(message);
        settled();
        receiver = begin(hello);
        resolve(receiver);
      } catch (refusal) {
        fail(refusal);
      }
    };
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted === true) onAbort();
    socket.on('close', onClose);
    // The close that follows is what counts.
    socket.on('error', () => undefined);
    read((bytes) => {
      try {
        for (const payload of decoder.push(bytes)) {
          if (socket.destroyed) return;
          const message = readHelperMessage(payload);
          if (receiver === undefined) takeFirst(message);
          else receiver.take(message);
        }
      } catch (error) {
        if (receiver === undefined) fail(notAHelper('it speaks another language', error));
        else receiver.abandon(error);
      }
    });
    socket.write(packFrame(clientMessage.hello({ versions, software })));
  });
}

/**
 * The hello in the first message of a helper.
 *
 * @throws ProcbusError `not-a-helper`, `version-mismatch`, or what the helper says in its place
 */
function helloOf(message: HelperMessage): HelperHello {
  switch (message.type) {
    case 'hello':
      // Whatever it says it can speak, what it has chosen must be ours.
      chooseVersion([message.hello.version, message.hello.version], versions);
      return message.hello;
    case 'error':
    case 'goodbye':
      throw errorOf(message.error);
    default:
      throw notAHelper('its first message is no hello');
  }
}

/** The error that a helper told; its code may be of a later version. */
export function errorOf({ code, message, remedy, oldest, missing }: WireError): ProcbusError {
  const known = isErrorCode(code) ? code : 'internal';
  const told = known === code ? message : `${code}: ${message}`;
  return new ProcbusError(known, told, { remedy, oldest, missing });
}

/** The error for a peer that says nothing: it may be a helper that is stuck, so trying again may help. */
function silent(): ProcbusError {
  return new ProcbusError(
    'no-helper',
    `what listens there has not answered within ${helloDeadline / 1000} seconds`,
    { remedy: howToLook },
  );
}

/** The error for a peer that does not behave like a helper. */
function notAHelper(why: string, cause?: unknown): ProcbusError {
  return new ProcbusError('not-a-helper', `what listens there is no procbusd: ${why}`, {
    remedy: howToLook,
    cause,
  });
}
