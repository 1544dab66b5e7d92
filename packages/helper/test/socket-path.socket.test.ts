/*
 * Claiming the path of a socket, and giving it up.
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { until } from '../../../test/support/condition.ts';
import { temporaryDirectory } from '../../../test/support/procbus.ts';
import * as libc from '../src/libc.ts';
import { claimSocket, type ClaimedSocket, type SocketOptions } from '../src/peers/socket-path.ts';
import { RawClient } from './support/raw-client.ts';

const refusal = (code: string, message: string, remedy: string): unknown =>
  expect.objectContaining({
    name: 'ProcbusError',
    code,
    message: expect.stringContaining(message) as unknown,
    remedy: expect.stringContaining(remedy) as unknown,
  });

/** Claims a path until the end of the test. */
async function claim(path: string, options: Partial<SocketOptions> = {}): Promise<ClaimedSocket> {
  const claimed = await claimSocket({ path, mode: 0o600, ...options });
  onTestFinished(() => libc.close(claimed.fd));
  return claimed;
}

/** Leaves a socket behind as a helper that was killed does. */
async function leaveStale(path: string): Promise<void> {
  libc.close((await claimSocket({ path, mode: 0o600 })).fd);
}

/** A group that this process may give to its files, and that they do not have anyway where there is one. */
function anotherGroup(): { name: string; gid: number } {
  const groups = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name = '', , gid]) => ({ name, gid: Number(gid) }));
  const mayGive = process.getuid?.() === 0 ? groups.map(({ gid }) => gid) : (process.getgroups?.() ?? []);
  const candidates = groups.filter(({ name, gid }) => name !== '' && mayGive.includes(gid));
  const other = candidates.find(({ gid }) => gid !== process.getgid?.()) ?? candidates[0];
  if (other === undefined) throw new Error('this process is in no group that has a name');
  return other;
}

describe('claiming', () => {
  test('makes a socket that clients can connect to, and leaves nothing beside it', async () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'procbus.sock');
    await claim(path);
    await RawClient.connect(path);
    expect(readdirSync(directory)).toEqual(['procbus.sock']);
  });

  test.each([0o600, 0o660, 0o666, 0o620])(
    'gives the socket the mode %o, whatever the umask',
    async (mode) => {
      const path = join(temporaryDirectory(), 'procbus.sock');
      const umask = process.umask(0o077);
      onTestFinished(() => void process.umask(umask));
      await claim(path, { mode });
      expect(statSync(path).mode & 0o7777).toBe(mode);
      expect(process.umask()).toBe(0o077);
    },
  );

  test('gives the socket the group, and the owner stays', async () => {
    const path = join(temporaryDirectory(), 'procbus.sock');
    const { name, gid } = anotherGroup();
    await claim(path, { group: name });
    expect(statSync(path)).toMatchObject({ gid, uid: process.getuid?.() });
  });

  test('a group that does not exist is refused with the command that makes it, and nothing is made', async () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'procbus.sock');
    await expect(claim(path, { group: 'no-such-group-here' })).rejects.toThrow(
      refusal('no-such-group', 'no-such-group-here', 'groupadd --system no-such-group-here'),
    );
    expect(readdirSync(directory)).toEqual([]);
  });

  test('takes over a socket that nobody serves any more', async () => {
    const path = join(temporaryDirectory(), 'procbus.sock');
    await leaveStale(path);
    expect(lstatSync(path).isSocket()).toBe(true);
    await expect(RawClient.connect(path)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await claim(path);
    await RawClient.connect(path);
    expect(lstatSync(path).isSocket()).toBe(true);
  });

  test('is refused where somebody serves, who serves on', async () => {
    const path = join(temporaryDirectory(), 'procbus.sock');
    const other = createServer().listen(path);
    onTestFinished(() => void other.close());
    await until('the other socket', () => existsSync(path));
    const { ino } = lstatSync(path);
    await expect(claim(path)).rejects.toThrow(refusal('socket-in-use', path, '--socket'));
    expect(lstatSync(path).ino).toBe(ino);
    await RawClient.connect(path);
  });

  test('is refused where somebody serves whose queue of connections is full', async () => {
    const path = join(temporaryDirectory(), 'procbus.sock');
    const fd = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM | libc.SOCK_CLOEXEC, 0);
    onTestFinished(() => libc.close(fd));
    libc.bind(fd, libc.unixAddress(path));
    libc.listen(fd, 0);
    await RawClient.connect(path);
    await expect(RawClient.connect(path)).rejects.toMatchObject({ code: 'EAGAIN' });
    await expect(claim(path)).rejects.toThrow(refusal('socket-in-use', path, '--socket'));
  });

  test('of several at once on one path, exactly one succeeds', async () => {
    const path = join(temporaryDirectory(), 'procbus.sock');
    await leaveStale(path);
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, async () => claim(path)));
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused).toEqual(
      Array.from({ length: 7 }, () => ({
        status: 'rejected',
        reason: refusal('socket-in-use', path, '--socket'),
      })),
    );
    await RawClient.connect(path);
  });

  test('of several at once in one directory, all succeed', async () => {
    const directory = temporaryDirectory();
    const names = ['a', 'b', 'c', 'd'];
    await Promise.all(names.map(async (name) => claim(join(directory, name))));
    expect(readdirSync(directory)).toEqual(names);
  });
});

describe('a path that cannot be claimed', () => {
  const untouched: [string, (path: string) => void][] = [
    ['a file', (path) => writeFileSync(path, 'precious')],
    ['a directory', (path) => mkdirSync(path)],
    [
      'a symbolic link to a file',
      (path) => {
        writeFileSync(`${path}.target`, 'precious');
        symlinkSync(`${path}.target`, path);
      },
    ],
    ['a symbolic link to nothing', (path) => symlinkSync(`${path}.target`, path)],
  ];
  test.each(untouched)('because it is %s is left as it is', async (_what, make) => {
    const directory = temporaryDirectory();
    const path = join(directory, 'procbus.sock');
    make(path);
    const look = (): unknown =>
      readdirSync(directory).map((name) => {
        const { ino, mode, mtimeMs } = lstatSync(join(directory, name));
        return { name, ino, mode, mtimeMs };
      });
    const before = look();
    await expect(claim(path, { mode: 0o666 })).rejects.toThrow(
      refusal('socket-path', `${path} exists and is not a socket`, 'Choose another path'),
    );
    expect(look()).toEqual(before);
  });

  test('because it is too long is told with the limit; one as long as may be is claimed', async () => {
    const directory = temporaryDirectory();
    // Two bytes a letter: the limit is one of bytes.
    const fill = libc.maxUnixPath - directory.length - 1;
    const longest = join(directory, 'é'.repeat(Math.floor(fill / 2)) + 'x'.repeat(fill % 2));
    await expect(claim(`${longest}x`)).rejects.toThrow(refusal('socket-path', '107 bytes', 'shorter'));
    await claim(longest);
    expect(lstatSync(longest).isSocket()).toBe(true);
  });

  test('because its directory is missing is told with the command that makes it', async () => {
    const directory = join(temporaryDirectory(), 'missing');
    await expect(claim(join(directory, 'procbus.sock'))).rejects.toThrow(
      refusal('socket-path', directory, `mkdir -p ${directory}`),
    );
  });

  test('because its directory is a file is refused as any other path', async () => {
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, 'precious');
    await expect(claim(join(file, 'procbus.sock'))).rejects.toMatchObject({
      name: 'ProcbusError',
      code: 'socket-path',
    });
    expect(readFileSync(file, 'utf8')).toBe('precious');
  });
});

describe('giving up', () => {
  test('removes the socket, and doing so twice is no harm', async () => {
    const directory = temporaryDirectory();
    const claimed = await claim(join(directory, 'procbus.sock'));
    claimed.release();
    claimed.release();
    expect(readdirSync(directory)).toEqual([]);
  });

  test('removes it although its mode was changed meanwhile', async () => {
    const path = join(temporaryDirectory(), 'procbus.sock');
    const claimed = await claim(path);
    chmodSync(path, 0o666);
    claimed.release();
    expect(existsSync(path)).toBe(false);
  });

  test('leaves the socket of another helper that took our place', async () => {
    const path = join(temporaryDirectory(), 'procbus.sock');
    const ours = await claim(path);
    unlinkSync(path);
    await claim(path);
    ours.release();
    await RawClient.connect(path);
    expect(lstatSync(path).isSocket()).toBe(true);
  });

  test('leaves a file that took our place', async () => {
    const path = join(temporaryDirectory(), 'procbus.sock');
    const ours = await claim(path);
    unlinkSync(path);
    writeFileSync(path, 'precious');
    ours.release();
    expect(readFileSync(path, 'utf8')).toBe('precious');
  });
});
