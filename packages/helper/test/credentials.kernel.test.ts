/*
 * Who connects, by the word of the kernel.
 */
import { expect, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { Program } from '../../../test/support/program.ts';
import { kernelSuite, needsProgram } from '../../../test/support/requirements.ts';
import { peerOf, type Peer } from '../src/peers/credentials.ts';
import { listen } from './support/listening.ts';

/** Connects, does what it is told, and stays. */
const client = (before = '', after = ''): string => `
  ${before}
  require('net').connect(process.argv[1], () => {
    ${after}
    console.log('connected', process.getgroups().join());
  });`;

/** Who a client is seen as that runs in some way. */
async function seen(
  command: readonly string[],
  source: string = client(),
): Promise<{ program: Program; peer: Peer }> {
  const { path, accepted } = listen();
  const [file = '', ...args] = [...command, process.execPath, '-e', source, path];
  const program = new Program(file, args);
  await program.says('connected');
  const { fd } = await until('the connection', () => accepted[0]);
  return { program, peer: peerOf(fd) };
}

kernelSuite('a peer', [needsProgram('setpriv')], () => {
  test('has the groups of its process, each once and ascending, its own group among them', async () => {
    const ids = ['--reuid=1234', '--regid=2345'];
    const { program, peer } = await seen(['setpriv', ...ids, '--groups=4003,17,2345,4003,4001']);
    expect(peer).toEqual({ pid: program.pid, uid: 1234, gid: 2345, groups: [17, 2345, 4001, 4003] });
  });

  test('has its own group where it has no others', async () => {
    const { peer } = await seen(['setpriv', '--reuid=1234', '--regid=2345', '--clear-groups']);
    expect(peer).toMatchObject({ uid: 1234, gid: 2345, groups: [2345] });
  });

  test('may be in many groups, beyond what is usual', async () => {
    const groups = Array.from({ length: 3000 }, (_, index) => 100_000 + index);
    const ids = ['--reuid=1234', '--regid=2345'];
    const { peer } = await seen(['setpriv', ...ids, `--groups=${groups.join()}`]);
    expect(peer.groups).toEqual([2345, ...groups]);
    // And then there is one who is in few.
    const { peer: another } = await seen(['setpriv', ...ids, '--groups=1']);
    expect(another.groups).toEqual([1, 2345]);
  });

  test('that has logged in has the groups that the system gives it', async () => {
    const { peer, program } = await seen(['setpriv', '--reuid=nobody', '--regid=nogroup', '--init-groups']);
    const own = program.stdout.replace('connected ', '').trim().split(',').map(Number);
    expect(peer.groups).toEqual([...new Set([...own, peer.gid])].toSorted((a, b) => a - b));
  });

  test('is whom it acts as, not who has started it', async () => {
    const { peer } = await seen([], client('process.setegid(2345); process.seteuid(1234);'));
    expect(peer).toMatchObject({ uid: 1234, gid: 2345 });
  });

  test('stays who it was when it connected', async () => {
    const become = 'process.setgroups([7]); process.setgid(2345); process.setuid(1234);';
    const { peer } = await seen([], client('', become));
    expect(peer).toMatchObject({ uid: process.geteuid?.(), gid: process.getegid?.() });
    expect(peer.groups).not.toContain(7);
  });
});
