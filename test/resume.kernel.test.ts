/*
 * Coming back: to the same helper, where the journal tells what was missed, and to another one, where
 * only a new list helps.
 */
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type ProcessEvent, type StreamEvent } from '@procbus/client';
import { expect, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { livingProcesses } from './support/machine.ts';
import { procbus, procbusd, startHelper, temporaryDirectory } from './support/procbus.ts';
import { Program, run } from './support/program.ts';
import { drain } from './support/reading.ts';
import { startRelay } from './support/relay.ts';
import { Replica } from './support/replica.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

/** A `procbus watch --json` whose output is a file. */
class Recorder {
  readonly program: Program;
  readonly #file: string;

  static async start(file: string, socket: string, ...args: readonly string[]): Promise<Recorder> {
    const recorder = new Recorder(file, socket, args);
    await recorder.program.says('watching');
    return recorder;
  }

  private constructor(file: string, socket: string, args: readonly string[]) {
    this.#file = file;
    const output = openSync(file, 'w');
    const command = [procbus, 'watch', '--json', '--socket', socket, ...args];
    this.program = new Program(process.execPath, command, { stdio: ['ignore', output, 'pipe'] });
    closeSync(output);
  }

  /** All whole lines so far: who is killed may have begun one. */
  get lines(): string[] {
    return readFileSync(this.#file, 'utf8').split('\n').slice(0, -1);
  }
}

/** An event without what is not exact: wall-clock time moves by a µs against the kernel's. */
function timeless(event: StreamEvent): object {
  return { ...event, time: '' };
}

/** The number of the event of a line. */
function seqOf(line: string): number {
  return (JSON.parse(line) as StreamEvent).seq;
}

/** Programs that come and go, one after the other, until it is stopped. */
function startStorm(): Program {
  return new Program('/bin/sh', ['-c', 'while :; do /bin/true; done']);
}

const isLost = (line: string): boolean => line.startsWith('{"type":"lost"');

kernelSuite('coming back', [needsProgram('gcc')], () => {
  test('a client killed 100 times in a storm has seen every event, by its cursor file', async () => {
    const directory = temporaryDirectory();
    const config = join(directory, 'procbusd.toml');
    // Enough for a machine on which a client takes seconds to start beside the storm.
    writeFileSync(config, '[journal]\nsize = "256MiB"\n');
    const { socket } = await startHelper('--config', config);
    const cursorFile = join(directory, 'cursor');
    const whole = await Recorder.start(join(directory, 'whole'), socket);
    // From here on it has a place to come back to.
    const first = await Recorder.start(join(directory, 'first'), socket, '--cursor-file', cursorFile);
    const storm = startStorm();
    await until('events', () => first.lines.length > 100);
    expect(await first.program.stop('SIGTERM')).toBe(143);

    const pieces = [first.lines];
    for (let round = 0; round < 100; round++) {
      const file = join(directory, String(round));
      const recorder = await Recorder.start(file, socket, '--cursor-file', cursorFile);
      await until('events', () => recorder.lines.length > 0);
      // Asked to end, or not asked at all.
      const signal = round % 2 === 0 ? 'SIGKILL' : 'SIGTERM';
      expect(await recorder.program.stop(signal)).toBe(signal === 'SIGTERM' ? 143 : signal);
      pieces.push(recorder.lines);
    }
    await storm.stop('SIGKILL');
    await run(actor(), ['name', 'the end']);
    const last = await Recorder.start(join(directory, 'last'), socket, '--cursor-file', cursorFile);
    const sawEnd = ({ lines }: Recorder): boolean => lines.some((line) => line.includes('"comm":"the end"'));
    await until('the end', () => sawEnd(last) && sawEnd(whole));
    expect(await last.program.stop('SIGTERM')).toBe(143);
    pieces.push(last.lines);

    const union = new Map<number, object>();
    for (const line of pieces.flat()) {
      const seq = seqOf(line);
      // What is told again, to one who was killed before it could write down where it was, is the same.
      const event = timeless(JSON.parse(line) as StreamEvent);
      if (union.has(seq)) expect(event).toEqual(union.get(seq));
      union.set(seq, event);
    }
    const end = seqOf(whole.lines.findLast((line) => line.includes('"comm":"the end"')) as string);
    const start = seqOf(pieces[0]?.[0] as string);
    const inside = (line: string): boolean => seqOf(line) >= start && seqOf(line) <= end;
    const told = [...union].filter(([seq]) => seq <= end).toSorted(([a], [b]) => a - b);
    expect(pieces.flat().filter(isLost)).toEqual([]);
    expect(told.map(([, event]) => event)).toEqual(
      whole.lines.filter(inside).map((line) => timeless(JSON.parse(line) as StreamEvent)),
    );
    expect(told.length).toBeGreaterThan(10_000);
    // Who was asked to end has written down exactly where it was.
    for (const [index, piece] of pieces.entries()) {
      const next = pieces[index + 1]?.[0];
      const wasAsked = index === 0 || (index - 1) % 2 === 1;
      if (wasAsked && next !== undefined) expect(seqOf(next)).toBeGreaterThan(seqOf(piece.at(-1) as string));
    }
  }, 300_000);

  test('when the helper is another one, clients are told of the hole, list again, and are right again', async () => {
    const socket = join(temporaryDirectory(), 'procbus.sock');
    const start = async (): Promise<Program> => {
      const command = [procbusd, '--socket', socket, '--config', '/dev/null'];
      return new Program(process.execPath, command).says('listening');
    };
    let helper = await start();
    await using bus = await connect({ socket });
    const replica = new Replica(await bus.listAndWatch());
    const watch = bus.watch();
    await watch.ready;
    const seen: StreamEvent[] = [];
    const reading = drain(watch, seen).catch((error: unknown) => error);
    const storm = startStorm();

    for (let round = 1; round <= 3; round++) {
      const { epoch } = bus.hello;
      expect(await helper.stop(round === 2 ? 'SIGKILL' : 'SIGTERM')).toBe(round === 2 ? 'SIGKILL' : 0);
      helper = await start();
      await until('another list', () => replica.snapshots === round);
      expect(bus.hello.epoch).not.toBe(epoch);
      const lost = seen.filter(({ type }) => type === 'lost');
      await until('the hole', () => seen.filter(({ type }) => type === 'lost').length === round);
      expect(lost.every((event) => event.type === 'lost' && event.where === 'journal')).toBe(true);
    }
    await storm.stop('SIGKILL');
    await run(actor(), ['name', 'the end']);
    await until('the end', () => seen.some((event) => event.type === 'comm' && event.comm === 'the end'));
    await until('the list to be /proc', () => differencesFromProc(replica).length === 0, 10_000).catch(() =>
      expect(differencesFromProc(replica)).toEqual([]),
    );
    expect(replica.oddities).toEqual([]);
    expect(replica.losses.length).toBe(3);
    await bus.close();
    expect(await reading).toMatchObject({ code: 'disconnected' });
  });

  test('a watch that is cut off goes on where it was', async () => {
    const { socket } = await startHelper();
    const relay = await startRelay(socket);
    await using bus = await connect({ socket: relay.path });
    await using other = await connect({ socket });
    const [cut, whole] = [bus.watch(), other.watch()];
    await Promise.all([cut.ready, whole.ready]);
    const [told, all]: [StreamEvent[], StreamEvent[]] = [[], []];
    void drain(cut, told).catch(() => undefined);
    void drain(whole, all).catch(() => undefined);
    const storm = startStorm();
    for (let round = 0; round < 6; round++) {
      await until('events', () => told.length > 0 && (told.at(-1)?.seq ?? 0) >= (all.at(-1)?.seq ?? 0) - 100);
      relay.cut();
    }
    await storm.stop('SIGKILL');
    await run(actor(), ['name', 'the end']);
    const ended = (events: StreamEvent[]): ProcessEvent | undefined =>
      events.find((event): event is ProcessEvent => event.type === 'comm' && event.comm === 'the end');
    await until('the end', () => ended(told) !== undefined && ended(all) !== undefined);
    const from = Math.max(told[0]?.seq ?? 0, all[0]?.seq ?? 0);
    const to = ended(told)?.seq ?? 0;
    const between = ({ seq }: StreamEvent): boolean => seq >= from && seq <= to;
    expect(told.filter(between).map(timeless)).toEqual(all.filter(between).map(timeless));
  });
});

/** What a replica has that /proc has not, and the other way round. */
function differencesFromProc({ living }: Replica): string[] {
  const told = new Set([...living.values()].map(({ pid }) => pid));
  const real = new Set(livingProcesses().keys());
  return [
    ...[...told].filter((pid) => !real.has(pid)).map((pid) => `${pid} is gone`),
    ...[...real].filter((pid) => !told.has(pid)).map((pid) => `${pid} was never told`),
  ];
}
