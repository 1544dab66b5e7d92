/*
 * procbus doctor: what it makes of the kernel, the namespaces and /proc.
 */
import { describe, expect, test } from 'vitest';
import { checkDirect, checkKernel, type KernelFacts } from '../../src/cli/doctor/kernel.ts';
import { checkNamespaces, containerHint } from '../../src/cli/doctor/namespaces.ts';
import { checkProc, hidepidIn } from '../../src/cli/doctor/proc-mount.ts';

const debian: KernelFacts = {
  release: '6.1.0-40-amd64',
  config: '# CONFIG_FOO is not set\nCONFIG_CONNECTOR=y\nCONFIG_PROC_EVENTS=y\n',
  connector: 'Name            ID\ncn_proc         1:1\n',
};

describe('the kernel', () => {
  test('is well where its connector speaks of processes, whatever else is known', () => {
    expect(checkKernel({ ...debian, config: undefined }, false)).toMatchObject({
      status: 'ok',
      what: 'Linux 6.1.0-40-amd64 tells process events (CONFIG_CONNECTOR, CONFIG_PROC_EVENTS)',
    });
  });

  test('is well where a helper hears it', () => {
    expect(checkKernel({ release: '6.1', config: undefined, connector: undefined }, true).status).toBe('ok');
  });

  test('is well by its configuration in a network namespace, where the connector is not to be seen', () => {
    expect(checkKernel({ ...debian, connector: undefined }, false)).toMatchObject({
      status: 'ok',
      what: 'Linux 6.1.0-40-amd64 is built with CONFIG_CONNECTOR and CONFIG_PROC_EVENTS',
    });
  });

  test.each<[string, Partial<KernelFacts>, string]>([
    [
      'has no connector',
      { config: 'CONFIG_NET=y\n', connector: undefined },
      'CONFIG_CONNECTOR and CONFIG_PROC_EVENTS',
    ],
    [
      'has it as a module, so that events are not built in',
      { config: 'CONFIG_CONNECTOR=m\n# CONFIG_PROC_EVENTS is not set\n', connector: undefined },
      'CONFIG_CONNECTOR and CONFIG_PROC_EVENTS',
    ],
    [
      'leaves processes out',
      { config: 'CONFIG_CONNECTOR=y\n# CONFIG_PROC_EVENTS is not set\n', connector: 'Name ID\n' },
      'CONFIG_PROC_EVENTS',
    ],
    [
      'says by its connector that it leaves processes out',
      { config: undefined, connector: 'Name ID\ncn_dst 2:1\n' },
      'CONFIG_PROC_EVENTS',
    ],
  ])('fails where it %s', (_, facts, missing) => {
    const check = checkKernel({ ...debian, ...facts }, false);
    expect(check).toMatchObject({
      status: 'fail',
      what: `Linux 6.1.0-40-amd64 is built without ${missing}, and tells no process events`,
    });
    expect(check.remedy).toContain('CONFIG_CONNECTOR=y and CONFIG_PROC_EVENTS=y');
  });

  test('is not blamed where it says nothing of itself', () => {
    const check = checkKernel({ ...debian, config: undefined, connector: undefined }, false);
    expect(check.status).toBe('skip');
    expect(check.what).toContain('/boot/config-6.1.0-40-amd64');
  });

  test.each([
    ['5.10.0-36-amd64', 'before Linux 6.6'],
    ['6.1.0-40-amd64', 'before Linux 6.6'],
    ['6.5.13', 'before Linux 6.6'],
    ['6.6.0', 'from Linux 6.6 on'],
    ['6.12.57+deb13-amd64', 'from Linux 6.6 on'],
    ['7.0', 'from Linux 6.6 on'],
  ])('%s lets hear itself as %s', (release, words) => {
    const check = checkDirect({ ...debian, release });
    expect(check.status).toBe('ok');
    expect(check.what).toContain(words);
  });

  test('of no version is not judged', () => {
    expect(checkDirect({ ...debian, release: 'mine' }).status).toBe('skip');
  });
});

describe('the namespaces', () => {
  const machine = { user: true, pid: true, network: true };
  const socket = '/run/procbus/procbus.sock';

  test('of the machine are well', () => {
    expect(checkNamespaces(machine, socket, false, undefined)).toMatchObject({
      status: 'ok',
      what: "the machine's own",
    });
  });

  test('of a container fail where no helper answers, and the remedy is outside', () => {
    const inside = { user: false, pid: false, network: true };
    expect(checkNamespaces(inside, socket, false, 'Podman')).toEqual({
      name: 'namespaces',
      status: 'fail',
      what: "another user and pid namespace than the machine's (Podman?), in which the kernel tells no process events",
      remedy: `Run procbusd on the host and mount its socket here, at ${socket}`,
    });
  });

  test('of a container are well where a helper answers, but for pids that mean something else', () => {
    const network = checkNamespaces({ ...machine, network: false }, socket, true, undefined);
    expect(network).toMatchObject({ status: 'ok' });
    expect(network.what).toContain('(a container?); the helper is outside of it');
    const pid = checkNamespaces({ ...machine, pid: false }, socket, true, undefined);
    expect(pid).toMatchObject({ status: 'warn' });
    expect(pid.remedy).toContain('--container');
  });

  test('that cannot be told are no fault', () => {
    const unknown = { user: undefined, pid: undefined, network: undefined };
    expect(checkNamespaces(unknown, socket, false, undefined).status).toBe('skip');
    const partly = checkNamespaces({ ...machine, network: undefined }, socket, false, undefined);
    expect(partly).toMatchObject({
      status: 'ok',
      what: "the machine's own, but for the network namespace, which cannot be told",
    });
  });

  test('have a container named by the file that its engine leaves', () => {
    expect(containerHint((path) => path === '/.dockerenv')).toBe('Docker');
    expect(containerHint((path) => path === '/run/.containerenv')).toBe('Podman');
    expect(containerHint(() => false)).toBeUndefined();
  });
});

describe('/proc', () => {
  const mount = (options: string, point = '/proc'): string =>
    `22 27 0:21 / ${point} rw,relatime shared:5 - proc proc ${options}\n`;

  test.each([
    [mount('rw'), 'off'],
    [mount('rw,hidepid=0'), 'off'],
    [mount('rw,hidepid=off'), 'off'],
    [mount('rw,gid=4,hidepid=invisible'), 'invisible'],
    [mount('rw,hidepid=2'), 'invisible'],
    [mount('rw,hidepid=1'), 'noaccess'],
    [mount('rw,hidepid=ptraceable,subset=pid'), 'ptraceable'],
    [mount('rw,hidepid=2') + mount('rw'), 'off'],
    [mount('rw') + mount('rw,hidepid=2'), 'invisible'],
    [mount('rw,hidepid=2', '/srv/chroot/proc'), undefined],
    ['', undefined],
  ])('hides, by %j: %s', (mountinfo, hidepid) => {
    expect(hidepidIn(mountinfo)).toBe(hidepid);
  });

  test('that hides is well as long as the helper sees through it', () => {
    expect(checkProc('off', undefined).status).toBe('ok');
    expect(checkProc('invisible', undefined)).toMatchObject({ status: 'ok' });
    const seen = checkProc('invisible', ['CAP_NET_ADMIN', 'CAP_SYS_PTRACE']);
    expect(seen).toMatchObject({ status: 'ok' });
    expect(seen.what).toContain('hidepid=invisible');
    const hidden = checkProc('invisible', ['CAP_NET_ADMIN']);
    expect(hidden).toMatchObject({ status: 'warn' });
    expect(hidden.remedy).toContain('CAP_SYS_PTRACE');
    expect(checkProc(undefined, undefined).status).toBe('skip');
  });
});
