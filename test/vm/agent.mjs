/*
 * Runs commands inside a virtual machine for the one outside: a line of JSON for each, on the second serial port,
 * {"id", "user", "command"}, and a line for how it came out: {"id", "status", "stdout", "stderr"}.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createReadStream, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

const path = '/dev/ttyS1';
execFileSync('stty', ['-F', path, 'raw', '-echo', 'clocal']);
const port = openSync(path, 'r+');
const tell = (message) => {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let at = 0; at < bytes.length;) at += writeSync(port, bytes, at);
};

createInterface({ input: createReadStream('', { fd: port, autoClose: false }) }).on('line', (line) => {
  const { id, user, command } = JSON.parse(line);
  // As a session of this user begins: with the groups that it has now.
  const child = spawn('runuser', ['--user', user, '--', '/bin/sh', '-c', command], {
    cwd: '/tmp',
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/tmp',
      LANG: 'C.UTF-8',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'])
    child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
  child.on('error', (error) => tell({ id, status: -1, stdout: '', stderr: String(error) }));
  child.on('close', (status, signal) => tell({ id, status: status ?? signal, ...output }));
});
tell({ id: 0 });
