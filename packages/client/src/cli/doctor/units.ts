/*
 * The units of systemd: installed, listening, in good health.
 */
import { existsSync } from 'node:fs';
import type { Check } from './check.ts';
import { output } from './program.ts';

/** What systemd says of a unit, see systemctl(1) `show`. */
export interface Unit {
  readonly LoadState: string;
  readonly ActiveState: string;
  readonly SubState: string;
  readonly UnitFileState: string;
  readonly Result: string;
  readonly NRestarts: string;
  /** Where a socket unit listens, one `PATH (Stream)` for each. */
  readonly Listen: readonly string[];
}

/** Both units, or why nothing is known of them. */
export type Units = { readonly socket: Unit; readonly service: Unit } | { readonly why: string };

const names = ['procbus.socket', 'procbus.service'] as const;

/** Asks systemd. */
export async function readUnits(signal: AbortSignal): Promise<Units> {
  // What sd_booted(3) looks at.
  if (!existsSync('/run/systemd/system')) return { why: 'systemd does not run here' };
  const properties = 'LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,Listen';
  const shown = await output('systemctl', ['show', `--property=${properties}`, '--', ...names], signal);
  if (shown === undefined) return { why: 'systemctl does not answer' };
  const [socket, service] = parseUnits(shown);
  if (socket === undefined || service === undefined) return { why: 'systemctl says something else' };
  return { socket, service };
}

/** Reads the answer of `systemctl show`: a block of lines for each unit. */
export function parseUnits(shown: string): Unit[] {
  const blocks = shown.trim().split(/\n\n+/);
  return blocks.map((block) => {
    const lines = block.split('\n').map((line): [key: string, value: string] => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)];
    });
    const value = (key: string): string => lines.findLast(([name]) => name === key)?.[1] ?? '';
    return {
      LoadState: value('LoadState'),
      ActiveState: value('ActiveState'),
      SubState: value('SubState'),
      UnitFileState: value('UnitFileState'),
      Result: value('Result'),
      NRestarts: value('NRestarts'),
      Listen: lines.filter(([name]) => name === 'Listen').map(([, listen]) => listen),
    };
  });
}

/**
 * The socket's unit and the service's.
 *
 * @param path - the socket that this is about
 * @param served - whether a helper answers there
 */
export function checkUnits(units: Units, path: string, served: boolean): Check[] {
  if ('why' in units) return names.map((name) => ({ name, status: 'skip', what: units.why }));
  const { socket, service } = units;
  if (socket.LoadState === 'not-found') {
    return names.map((name) =>
      served
        ? { name, status: 'skip', what: 'not installed; the helper was started in another way' }
        : {
            name,
            status: 'warn',
            what: 'not installed',
            remedy: 'Install the package of procbus, or run as root: procbusd install',
          },
    );
  }
  const paths = socket.Listen.map((listen) => listen.replace(/ \(\w+\)$/, ''));
  if (paths.length > 0 && !paths.includes(path)) {
    const what = `about ${paths.join(', ')}, and not ${path}`;
    return names.map((name) => ({ name, status: 'skip', what }));
  }
  return [checkSocketUnit(socket, served), checkServiceUnit(service, socket, served)];
}

function checkSocketUnit(unit: Unit, served: boolean): Check {
  const name = 'procbus.socket';
  const state = stateOf(unit);
  if (unit.LoadState === 'masked') {
    return { name, status: served ? 'ok' : 'fail', what: 'masked', remedy: `sudo systemctl unmask ${name}` };
  }
  if (unit.ActiveState === 'active') {
    if (unit.UnitFileState !== 'disabled') return { name, status: 'ok', what: state };
    return {
      name,
      status: 'warn',
      what: `${state}; it will not be there after the next boot`,
      remedy: `Enable it: sudo systemctl enable ${name}`,
    };
  }
  if (served) {
    return { name, status: 'ok', what: `${state}; the helper was started in another way` };
  }
  return {
    name,
    status: 'fail',
    what: state,
    remedy:
      unit.ActiveState === 'failed'
        ? `See why: journalctl -u ${name}; then: sudo systemctl reset-failed procbus.service ${name} && sudo systemctl start ${name}`
        : `Start it: sudo systemctl enable --now ${name}`,
  };
}

function checkServiceUnit(unit: Unit, socket: Unit, served: boolean): Check {
  const name = 'procbus.service';
  const state = stateOf(unit);
  const log = 'journalctl -u procbus';
  const restarts = Number(unit.NRestarts);
  switch (unit.ActiveState) {
    case 'active':
    case 'reloading':
      if (!(restarts > 0)) return { name, status: 'ok', what: state };
      return {
        name,
        status: 'warn',
        what: `${state}, after systemd has restarted it ${restarts === 1 ? 'once' : `${restarts} times`}`,
        remedy: `See why: ${log}`,
      };
    case 'activating':
    case 'deactivating':
      return { name, status: 'warn', what: state, remedy: `See how it goes on: ${log}` };
    case 'inactive':
      if (socket.ActiveState === 'active') {
        return { name, status: 'ok', what: `${state}; it starts with the first connection` };
      }
      return { name, status: 'skip', what: state };
    default:
      return {
        name,
        status: served ? 'warn' : 'fail',
        what: `${state}, ${unit.Result}`,
        remedy: `See why: ${log}`,
      };
  }
}

/** As in `active (listening), enabled`. */
function stateOf({ ActiveState, SubState, UnitFileState }: Unit): string {
  const file = UnitFileState === '' ? '' : `, ${UnitFileState}`;
  return `${ActiveState} (${SubState})${file}`;
}
