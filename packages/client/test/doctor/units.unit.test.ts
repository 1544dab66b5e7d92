/*
 * procbus doctor: what it makes of the units of systemd.
 */
import { describe, expect, test } from 'vitest';
import { checkUnits, parseUnits, type Unit } from '../../src/cli/doctor/units.ts';

const path = '/run/procbus/procbus.sock';

/** As systemctl(1) answers. */
const shown = `Listen=${path} (Stream)
NRestarts=0
Result=success
LoadState=loaded
ActiveState=active
SubState=listening
UnitFileState=enabled

NRestarts=0
Result=success
LoadState=loaded
ActiveState=inactive
SubState=dead
UnitFileState=indirect
`;

const [socket, service] = parseUnits(shown) as [Unit, Unit];

/** The results, as `status: what`, and the remedies. */
function judged(
  units: { socket?: Partial<Unit>; service?: Partial<Unit> },
  { served = false, at = path } = {},
): { results: string[]; remedies: (string | undefined)[] } {
  const both = { socket: { ...socket, ...units.socket }, service: { ...service, ...units.service } };
  const checks = checkUnits(both, at, served);
  expect(checks.map(({ name }) => name)).toEqual(['procbus.socket', 'procbus.service']);
  return {
    results: checks.map(({ status, what }) => `${status}: ${what}`),
    remedies: checks.map(({ remedy }) => remedy),
  };
}

const running = { ActiveState: 'active', SubState: 'running' };

describe('the units', () => {
  test('are read from what systemctl prints', () => {
    expect(socket).toEqual({
      LoadState: 'loaded',
      ActiveState: 'active',
      SubState: 'listening',
      UnitFileState: 'enabled',
      Result: 'success',
      NRestarts: '0',
      Listen: [`${path} (Stream)`],
    });
    expect(service).toMatchObject({ ActiveState: 'inactive', Listen: [] });
    expect(parseUnits('')).toHaveLength(1);
  });

  test('are well while nobody has connected yet', () => {
    expect(judged({}).results).toEqual([
      'ok: active (listening), enabled',
      'ok: inactive (dead), indirect; it starts with the first connection',
    ]);
  });

  test('are well while they serve', () => {
    expect(judged({ service: running }, { served: true }).results[1]).toBe('ok: active (running), indirect');
  });

  test('warn of a socket that the next boot will not bring back', () => {
    const { results, remedies } = judged({ socket: { UnitFileState: 'disabled' } });
    expect(results[0]).toMatch(/^warn: active \(listening\), disabled; /);
    expect(remedies[0]).toBe('Enable it: sudo systemctl enable procbus.socket');
  });

  test('warn of restarts', () => {
    const once = judged({ service: { ...running, NRestarts: '1' } }, { served: true });
    expect(once.results[1]).toContain('restarted it once');
    const often = judged({ service: { ...running, NRestarts: '17' } }, { served: true });
    expect(often.results[1]).toContain('restarted it 17 times');
    expect(often.remedies[1]).toContain('journalctl -u procbus');
  });

  test('fail where the socket does not listen, and say how to start it', () => {
    const { results, remedies } = judged({ socket: { ActiveState: 'inactive', SubState: 'dead' } });
    expect(results).toEqual(['fail: inactive (dead), enabled', 'skip: inactive (dead), indirect']);
    expect(remedies[0]).toBe('Start it: sudo systemctl enable --now procbus.socket');
  });

  test('are no fault where the helper was started by other means', () => {
    const stopped = { ActiveState: 'inactive', SubState: 'dead' };
    expect(judged({ socket: stopped }, { served: true }).results[0]).toContain('ok: ');
    const missing = { LoadState: 'not-found', ...stopped, Listen: [] };
    expect(judged({ socket: missing, service: missing }, { served: true }).results[0]).toContain('skip: ');
  });

  test('fail where they have failed', () => {
    const failed = { ActiveState: 'failed', SubState: 'failed', Result: 'exit-code' };
    const { results, remedies } = judged({
      socket: { ...failed, Result: 'trigger-limit-hit' },
      service: failed,
    });
    expect(results).toEqual(['fail: failed (failed), enabled', 'fail: failed (failed), indirect, exit-code']);
    expect(remedies[0]).toContain('systemctl reset-failed');
    expect(remedies[1]).toBe('See why: journalctl -u procbus');
  });

  test('warn while the service comes and goes', () => {
    const { results } = judged({ service: { ActiveState: 'activating', SubState: 'auto-restart' } });
    expect(results[1]).toBe('warn: activating (auto-restart), indirect');
  });

  test('that are masked or not installed say what to do', () => {
    const masked = judged({ socket: { LoadState: 'masked', ActiveState: 'inactive' } });
    expect(masked.remedies[0]).toBe('sudo systemctl unmask procbus.socket');
    const missing = judged({ socket: { LoadState: 'not-found', Listen: [] } });
    expect(missing.results[0]).toBe('warn: not installed');
    expect(missing.remedies[0]).toContain('procbusd install');
  });

  test('that are about another socket are left alone', () => {
    expect(judged({}, { at: '/tmp/other.sock' }).results).toEqual([
      `skip: about ${path}, and not /tmp/other.sock`,
      `skip: about ${path}, and not /tmp/other.sock`,
    ]);
  });

  test('are left alone where there is no systemd', () => {
    const checks = checkUnits({ why: 'systemd does not run here' }, path, false);
    expect(checks.map(({ status }) => status)).toEqual(['skip', 'skip']);
  });
});
