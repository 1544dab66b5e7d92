/*
 * How a helper begins and ends, and what it leaves behind: nothing.
 */
import { existsSync, lstatSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connect } from '@procbus/client';
import { expect, test } from 'vitest';
import { actor } from './support/actor.ts';
import { until } from './support/condition.ts';
import { procbus, procbusd, startHelper, temporaryDirectory, Watcher } from './support/procbus.ts';
import { Program, run } from './support/program.ts';
import { kernelSuite, needsProgram } from './support/requirements.ts';

/** The sockets that are subscribed to process events: protocol 11, group 1. */
function listeners(): string[] {
  const rows = readFileSync('/proc/net/netlink', 'utf8').split('\n').slice(1);
  return rows.filter((row) => {
    const [, protocol, , groups] = row.trim().split(/\s+/);
    return protocol === '11' && groups === '00000001';
  });
}

kernelSuite('life of a helper', [needsProgram('gcc')], () => {
  test('starting and stopping 100 times leaves no socket, no process and no listener', async () => {
    const directory = temporaryDirectory();
    const socket = join(directory, 'procbus.sock');
    const before = listeners().length;
    const round = async (path: string): Promise<void> => {
      const helper = new Program(process.execPath, [procbusd, '--socket', path]);
      await helper.says('listening');
      expect(await helper.stop('SIGTERM')).toBe(0);
      expect(existsSync(`/proc/${helper.pid}`)).toBe(false);
    };
    // Two at a time, each at its own path, 50 times over.
    for (let repetition = 0; repetition < 50; repetition++) {
      await Promise.all([round(socket), round(`${socket}2`)]);
    }
    expect(readdirSync(directory)).toEqual([]);
    expect(listeners().length).toBe(before);
  });

  test('a helper that is stopped says goodbye, and its clients say why they end, or wait for another one', async () => {
    const { program, socket } = await startHelper();
    const watcher = await Watcher.start(socket);
    const bus = await connect({ socket, reconnect: false });
    const watch = bus.watch();
    await watch.ready;
    expect(await program.stop('SIGINT')).toBe(0);
    await expect(drain(watch)).rejects.toMatchObject({ code: 'stopping' });
    await watcher.says('the helper has gone (procbusd is stopping); connecting again');
    expect(existsSync(socket)).toBe(false);
    expect(await watcher.stop('SIGINT')).toBe(130);
    await bus.close();
  });

  test('what happened before a helper is stopped is told before it goes', async () => {
    const { program, socket } = await startHelper();
    const watcher = await Watcher.start(socket);
    await run(actor(), ['fork-storm', '2000']);
    const { pid } = await run('/bin/true', []);
    expect(await program.stop()).toBe(0);
    await until('the event', () => watcher.hasEnded(pid));
  });

  test('a second helper at the same path is refused, and the first one serves on', async () => {
    const { socket } = await startHelper();
    const second = await run(process.execPath, [procbusd, '--socket', socket]);
    expect(await second.ended).toBe(73);
    expect(second.stderr).toContain(`another procbusd serves ${socket}`);
    await using bus = await connect({ socket });
    await bus.ping();
  });

  test('of eight that start at once over a stale socket, one serves', async () => {
    const { program, socket } = await startHelper();
    await program.stop('SIGKILL');
    expect(statSync(socket).isSocket()).toBe(true);

    const rivals = Array.from(
      { length: 8 },
      () => new Program(process.execPath, [procbusd, '--socket', socket]),
    );
    const outcomes = await Promise.all(
      rivals.map(async (rival) => Promise.race([rival.ended, rival.says('listening').then(() => 'serves')])),
    );
    expect(outcomes.toSorted()).toEqual([...Array.from({ length: 7 }, () => 73), 'serves']);
    await using bus = await connect({ socket });
    await bus.ping();
  });

  test('what is not a socket is never removed', async () => {
    const file = join(temporaryDirectory(), 'precious');
    writeFileSync(file, 'data');
    const refused = await run(process.execPath, [procbusd, '--socket', file]);
    expect(await refused.ended).toBe(73);
    expect(refused.stderr).toContain('is not a socket');
    expect(readFileSync(file, 'utf8')).toBe('data');
  });

  test('a socket that somebody else has put in the place of ours stays', async () => {
    const { program, socket } = await startHelper();
    await run('rm', [socket]);
    const other = createServer().listen(socket);
    await until('the other socket', () => existsSync(socket));
    expect(await program.stop()).toBe(0);
    expect(lstatSync(socket).isSocket()).toBe(true);
    other.close();
  });

  test('the socket has the group and mode asked for, and is never open to others before', async () => {
    const { socket } = await startHelper('--group', 'nogroup', '--mode', '0620');
    const { mode, gid } = statSync(socket);
    expect(mode & 0o777).toBe(0o620);
    expect(gid).toBe(Number(/^nogroup:[^:]*:(\d+)/m.exec(readFileSync('/etc/group', 'utf8'))?.[1]));
  });

  test('a group that does not exist is named, with the command that makes it', async () => {
    const refused = await run(process.execPath, [procbusd, '--socket', '/tmp/x.sock', '--group', 'no-such']);
    expect(await refused.ended).toBe(64);
    expect(refused.stderr).toContain('groupadd --system no-such');
  });

  test('a helper that is killed is noticed at once', async () => {
    const { program, socket } = await startHelper();
    const watcher = await Watcher.start(socket);
    await program.stop('SIGKILL');
    await watcher.says('connecting again');
    expect(watcher.stderr).toContain('the helper has gone (without a word)');
  });
});

kernelSuite('socket activation', [needsProgram('systemd-socket-activate')], () => {
  test('a helper takes the socket that systemd hands over, and leaves it in its place', async () => {
    const directory = temporaryDirectory();
    const socket = join(directory, 'procbus.sock');
    const systemd = new Program('systemd-socket-activate', ['--listen', socket, process.execPath, procbusd]);
    await systemd.says('Listening on');
    const watcher = await Watcher.start(socket);
    const { pid } = await run('/bin/true', []);
    await until('an event', () => watcher.hasEnded(pid));
    expect(systemd.stderr).toContain('listening at the socket handed over');
    expect(await systemd.stop('SIGTERM')).toBe(0);
    expect(lstatSync(socket).isSocket()).toBe(true);
    await watcher.says('the helper has gone');
  });

  test('a socket and --socket exclude each other', async () => {
    const socket = join(temporaryDirectory(), 'procbus.sock');
    const systemd = new Program('systemd-socket-activate', [
      '--listen',
      socket,
      process.execPath,
      procbusd,
      '--socket',
      `${socket}2`,
    ]);
    await systemd.says('Listening on');
    const client = await run(process.execPath, [procbus, 'watch', '--socket', socket, '--count', '1']);
    expect(await client.ended).toBe(69);
    expect(await systemd.ended).toBe(64);
    expect(systemd.stderr).toContain('--socket has no meaning');
  });

  test('two sockets, and one that is meant for another process, are not taken', async () => {
    const directory = temporaryDirectory();
    const two = ['--listen', join(directory, 'a'), '--listen', join(directory, 'b')];
    const systemd = new Program('systemd-socket-activate', [...two, process.execPath, procbusd]);
    await systemd.says('Listening on');
    await run(process.execPath, [procbus, 'watch', '--socket', join(directory, 'a'), '--count', '1']);
    expect(await systemd.ended).toBe(64);
    expect(systemd.stderr).toContain('2 sockets were handed over');

    const socket = join(directory, 'own');
    const env = { ...process.env, LISTEN_PID: '1', LISTEN_FDS: '1' };
    const helper = new Program(process.execPath, [procbusd, '--socket', socket], { env });
    await helper.says(`listening at ${socket}`);
  });

  test('readiness and stopping are told to the service manager', async () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'notify');
    const manager = new Program('python3', [
      '-uc',
      `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound")
while True: print(s.recv(1024).decode())`,
      path,
    ]);
    await manager.says('bound');
    const env = { ...process.env, NOTIFY_SOCKET: path };
    const helper = new Program(process.execPath, [procbusd, '--socket', join(directory, 'sock')], { env });
    await manager.says('READY=1');
    expect(helper.stderr).toContain('listening');
    await helper.stop();
    await manager.says('STOPPING=1');
  });
});

async function drain(events: AsyncIterable<unknown>): Promise<void> {
  for await (const event of events) void event;
}
