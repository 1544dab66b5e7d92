/*
 * examples/watch.py, beside a helper that says what the specification has as vectors.
 */
import {
  FrameDecoder,
  lossToEvent,
  maxClientPayload,
  packFrame,
  readHelperMessage,
  unpack,
} from '@procbus/protocol';
import { describe, expect, test } from 'vitest';
import { vectorOf, vectors, type Vector } from '../packages/protocol/test/vectors.ts';
import { listenAs } from './support/impostor.ts';
import { inRepository, run, type Program } from './support/program.ts';
import { needsMsgpack, pythonWithMsgpack } from './support/requirements.ts';

/** A helper that greets, subscribes, sends these frames and closes the connection. */
async function helperThatSends(...frames: readonly Buffer[]): Promise<string> {
  const answers: Record<string, readonly Buffer[]> = {
    hello: [vectorOf('helper-hello').frame],
    subscribe: [vectorOf('result-subscribe').frame, ...frames],
  };
  return listenAs((socket) => {
    const decoder = new FrameDecoder(maxClientPayload);
    socket.on('data', (chunk) => {
      for (const payload of decoder.push(chunk)) {
        const [type] = unpack(payload) as [string];
        socket.write(Buffer.concat(answers[type] ?? []));
        if (type === 'subscribe') socket.end();
      }
    });
  });
}

/** The frame of a vector, for the one subscription that watch.py makes. */
function frameForOne({ frame, value: [type, subscription, ...rest] }: Vector): Buffer {
  return subscription === 1 ? frame : packFrame([type, 1, ...rest]);
}

/** What `procbus watch --json` prints of a message. */
function linesOf(payload: Buffer): string[] {
  const message = readHelperMessage(payload);
  if (message.type === 'lost') return [JSON.stringify(lossToEvent(message.lost))];
  if (message.type !== 'events') return [];
  const lines: string[] = [];
  while (message.events.left > 0) {
    const event = message.events.next();
    if (event !== undefined) lines.push(JSON.stringify(event));
  }
  return lines;
}

describe.skipIf(needsMsgpack() !== undefined)('examples/watch.py', () => {
  const watch = async (socket: string): Promise<Program> =>
    run(pythonWithMsgpack ?? '', [inRepository('examples/watch.py'), '--socket', socket]);

  test('prints each event and loss as procbus watch --json does, and nothing for a heartbeat', async () => {
    const told = vectors.filter(({ value: [type] }) => type === 'events' || type === 'lost');
    const frames = told.map(frameForOne);
    const { lines } = await watch(await helperThatSends(...frames));
    expect(told.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['events-heartbeat', 'lost-journal']),
    );
    expect(lines).toEqual(frames.flatMap((frame) => linesOf(frame.subarray(4))));
  });

  test.each([
    ['error-gone', 'error from the helper: the journal no longer holds what follows', 'It begins at'],
    [
      'error-gone-without-remedy',
      'error from the helper: the journal no longer holds what follows',
      undefined,
    ],
    ['helper-goodbye-lagged', 'goodbye from the helper: subscription 13 has not been read', 'Read faster'],
  ])('ends with what the helper says in %s', async (name, message, remedy) => {
    const program = await watch(await helperThatSends(vectorOf(name).frame));
    const [watching, said, help] = program.stderr.trimEnd().split('\n');
    expect(await program.ended).toBe(1);
    expect(watching).toBe('watch.py: watching');
    expect(said).toContain(`watch.py: ${message}`);
    if (remedy === undefined) expect(help).toBeUndefined();
    else expect(help).toContain(`watch.py: ${remedy}`);
  });
});
