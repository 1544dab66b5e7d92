/*
 * Random and mutated frames at the socket of a real helper: 100,000 to warm it up, and three times as many after.
 */
import { writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  clientMessage,
  FrameDecoder,
  maxClientPayload,
  maxHelperPayload,
  packFrame,
  unpack,
  versions,
} from '@procbus/protocol';
import { expect, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { between, key, Listener } from './support/listener.ts';
import { peakOf } from './support/memory.ts';
import { startHelper, temporaryDirectory, Watcher } from './support/procbus.ts';
import { run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

const frames = 400_000;
const warmUp = 100_000;
/** What a frame may leave behind on average, in bytes: what 4 MiB are to 100,000 of them. */
const bytesPerFrame = 40;
const seed = 20_251_122;
/** Frames that are sent to one connection; it ends earlier at the first that cannot be read. */
const framesPerConnection = 20;

const hello = packFrame(clientMessage.hello({ versions, software: 'fuzz' }));
const pingRequest = 4_000_000_000;
const ping = packFrame(clientMessage.ping(pingRequest));

/** Valid frames to be mutated. */
const valid: Buffer[] = [
  hello,
  packFrame(clientMessage.subscribe(1, { events: ['exec', 'exit'], threads: true })),
  packFrame(clientMessage.subscribe(2, {})),
  packFrame(clientMessage.unsubscribe(3, 1)),
  packFrame(clientMessage.ping(4)),
  packFrame(clientMessage.stats(5)),
  packFrame(clientMessage.snapshot(6, { pids: [1], not: { comm: ['a*b?', '[!a-z]'] } }, false)),
];

const mutated = fc
  .tuple(
    fc.constantFrom(...valid),
    fc.array(fc.tuple(fc.nat(200), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
  )
  .map(([frame, changes]) => {
    const bytes = Buffer.from(frame);
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    return bytes;
  });
/** A true length before anything at all. */
const random = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((payload) => {
  const bytes = Buffer.alloc(4 + payload.length);
  bytes.writeUInt32BE(payload.length);
  bytes.set(payload, 4);
  return bytes;
});
/** Well-formed messages of the wrong shape. */
const strange = fc
  .tuple(
    fc.constantFrom('hello', 'subscribe', 'unsubscribe', 'snapshot', 'ping', 'stats', 'what'),
    fc.array(fc.jsonValue({ maxDepth: 3 }), { maxLength: 3 }),
  )
  .map((message) => packFrame(message.flat(1)));
const anyFrame = fc.oneof(
  { arbitrary: mutated, weight: 3 },
  { arbitrary: strange, weight: 2 },
  { arbitrary: random, weight: 1 },
);

kernelSuite('fuzzing', [needsProgram('gcc'), needsProgram('python3')], () => {
  test('random and mutated frames leave the helper up, its memory flat, and others undisturbed', async () => {
    const config = join(temporaryDirectory(), 'procbusd.toml');
    // What is tried here is what frames do, and not how many of them somebody may send.
    const limits = ['requests-per-second = 1_000_000', 'work-per-second = 1_000_000_000'];
    // The journal is full soon, so that what grows from then on is not it.
    writeFileSync(config, ['[journal]', 'size = "256KiB"', '[limits]', ...limits].join('\n'));
    const [listener, { socket, program }] = await Promise.all([
      Listener.start(),
      startHelper('--config', config),
    ]);
    const watcher = await Watcher.start(socket);
    const samples = fc.sample(anyFrame, { seed, numRuns: frames });
    const first = await run('/bin/true', []);

    // The first ones warm the helper up, and a storm fills the memory of its table, which is bounded; a second one
    // is what all the others meet as well. From then on its memory must not grow with the frames.
    const half = warmUp / 2;
    await Promise.all([sendAll(socket, samples.slice(0, half)), storm(12_000)]);
    await Promise.all([sendAll(socket, samples.slice(half, warmUp)), storm(5000)]);
    const before = peakOf(program.pid);
    const [sent] = await Promise.all([sendAll(socket, samples.slice(warmUp)), storm(5000)]);
    const after = peakOf(program.pid);
    expect(sent).toBe(frames - warmUp);

    const last = await run('/bin/true', []);
    await until('the last exit', () => watcher.hasEnded(last.pid));
    const { events } = await listener.stop();
    // In a long silence the helper sets its own name, and does not tell of it.
    const reference = between(events, first.pid, last.pid).filter(
      ({ pid, tid }) => pid === tid && pid !== program.pid,
    );
    const told = between(
      watcher.events.filter((event) => event.type !== 'lost'),
      first.pid,
      last.pid,
    );
    expect(told.map(key).toSorted()).toEqual(reference.map(key).toSorted());
    expect(watcher.events.some(({ type }) => type === 'lost')).toBe(false);

    process.stderr.write(
      `helper after ${warmUp} frames ${before.toFixed(1)} MiB, after ${frames} frames ${after.toFixed(1)} MiB\n`,
    );
    expect(((after - before) * 2 ** 20) / (frames - warmUp)).toBeLessThan(bytesPerFrame);
    expect(program.child.exitCode).toBe(null);
    expect(program.stderr).not.toContain('failed');
  }, 300_000);
});

/** Makes processes, so that the helper has something to tell meanwhile. */
async function storm(forks: number): Promise<void> {
  await run(actor(), ['fork-storm', String(forks)]);
}

/** Sends frames over as many connections as it takes; resolves with how many were sent. */
async function sendAll(path: string, samples: readonly Buffer[]): Promise<number> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < samples.length) {
      let rest = samples.slice(next, (next += framesPerConnection));
      while (rest.length > 0) rest = rest.slice(await converse(path, rest));
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return Math.min(next, samples.length);
}

/** Sends frames over one connection, each when the last has been dealt with; resolves with how many. */
async function converse(path: string, samples: readonly Buffer[]): Promise<number> {
  const socket = connectSocket(path);
  const decoder = new FrameDecoder(maxHelperPayload);
  let closed = false;
  let pongs = 0;
  let wake = (): void => undefined;
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
    wake();
  });
  socket.on('data', (chunk) => {
    for (const payload of decoder.push(chunk)) {
      const message = unpack(payload) as unknown[];
      if (message[0] === 'result' && message[1] === pingRequest) pongs++;
    }
    wake();
  });

  let sent = 0;
  // Some begin without a hello.
  if (samples.length % 4 !== 0) socket.write(hello);
  for (const frame of samples) {
    sent++;
    const whole = isWhole(Buffer.concat([frame, ping]));
    if (!whole) {
      // It waits for the rest of a frame, and we leave it waiting.
      await new Promise((resolve) => socket.write(frame, resolve));
      break;
    }
    const wanted = pongs + 1;
    socket.write(Buffer.concat([frame, ping]));
    while (pongs < wanted && !closed) await new Promise<void>((resolve) => (wake = resolve));
    if (closed) break;
  }
  socket.destroy();
  return sent;
}

/** Whether a stream of frames ends with a whole one, or with one that is refused. */
function isWhole(bytes: Buffer): boolean {
  const decoder = new FrameDecoder(maxClientPayload);
  try {
    for (const payload of decoder.push(bytes)) void payload;
  } catch {
    return true;
  }
  return decoder.pending === 0;
}
