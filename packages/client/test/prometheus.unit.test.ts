import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderPrometheus } from '../src/cli/prometheus.ts';
import type { HelperStats } from '../src/stats.ts';
import { connection, epoch, stats, statsWith } from './support/figures.ts';

interface Family {
  readonly type: string;
  readonly help: string;
  /** Values by labels, each sample once. */
  readonly samples: Map<string, number>;
}

const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const sample = /^([^{ ]+)(?:\{(.*)\})? ([^ ]+)$/;
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;

/** Reads the text format as its specification has it; throws at what is none of it. */
function parse(lines: readonly string[]): Map<string, Family> {
  const families = new Map<string, Family>();
  let current: [name: string, family: Family] | undefined;
  let help: [name: string, text: string] | undefined;
  for (const line of lines) {
    const [, keyword, of = '', rest = ''] = /^# (HELP|TYPE) ([^ ]+) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      expect(of).toMatch(name);
      help = [of, rest];
    } else if (keyword === 'TYPE') {
      expect(help?.[0]).toBe(of);
      // All samples of a metric come together.
      expect(families.has(of)).toBe(false);
      expect(['counter', 'gauge', 'summary']).toContain(rest);
      current = [of, { type: rest, help: help?.[1] ?? '', samples: new Map() }];
      families.set(...current);
    } else {
      const [, metric, labels = '', number] = sample.exec(line) ?? [];
      expect(metric).toBe(current?.[0]);
      expect(Number(number)).not.toBeNaN();
      const key = JSON.stringify(parseLabels(labels));
      expect(current?.[1].samples.has(key)).toBe(false);
      current?.[1].samples.set(key, Number(number));
    }
  }
  return families;
}

function parseLabels(list: string): Record<string, string> {
  const labels: Record<string, string> = {};
  label.lastIndex = 0;
  while (label.lastIndex < list.length) {
    const [, key = '', text = ''] = label.exec(list) ?? [];
    if (key === '') throw new Error(`no labels: ${list}`);
    labels[key] = text.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
  }
  return labels;
}

const software = 'procbusd/0.1.0';
const families = (of: HelperStats): Map<string, Family> => parse(renderPrometheus(of, software));

/** The value of one sample. */
function value(of: HelperStats, metric: string, labels: Record<string, string> = {}): number | undefined {
  return families(of).get(metric)?.samples.get(JSON.stringify(labels));
}

describe('figures in Prometheus’ format', () => {
  test('are those that the helper tells, in seconds and bytes', () => {
    expect(value(stats, 'procbus_helper_info', { software, epoch })).toBe(1);
    expect(value(stats, 'procbus_uptime_seconds')).toBe(11_100);
    expect(value(stats, 'procbus_sequence_numbers_total')).toBe(4_711_002);
    expect(value(stats, 'procbus_events_received_total', { type: 'fork' })).toBe(1_234_567);
    expect(value(stats, 'procbus_events_lost_total', { where: 'kernel' })).toBe(0);
    expect(value(stats, 'procbus_events_lost_total', { where: 'queue' })).toBe(31);
    expect(value(stats, 'procbus_kernel_filter_passes', { type: 'exit', of: 'threads' })).toBe(1);
    expect(value(stats, 'procbus_processes', { state: 'living' })).toBe(1412);
    expect(value(stats, 'procbus_journal_span_seconds')).toBe(303);
    expect(value(stats, 'procbus_event_loop_delay_seconds', { quantile: '0.99' })).toBe(0.0013);
    expect(value(stats, 'procbus_resident_memory_bytes')).toBe(88_291_328);
    expect(value(stats, 'procbus_cpu_seconds_total', { mode: 'user' })).toBe(12.25);
    expect(value(stats, 'procbus_client_lag_seconds', { uid: '1000', user: 'anna' })).toBe(12.4);
    expect(value(stats, 'procbus_client_connections', { uid: '4100000000' })).toBe(1);
  });

  test('are named as is the custom, and explained', () => {
    for (const [metric, { type, help }] of families(stats)) {
      expect(metric).toMatch(/^procbus_[a-z_]+$/);
      expect(metric.endsWith('_total')).toBe(type === 'counter');
      expect(help).toMatch(/^[A-Z][^\\]+\.$/);
    }
  });

  test('are of the own connection, where the grant allows no more', () => {
    const own = { connection: { ...connection, delivered: 12 } };
    expect(value(own, 'procbus_connection_events_delivered_total', { uid: '1000' })).toBe(12);
    expect([...families(own).keys()].filter((metric) => !metric.startsWith('procbus_connection_'))).toEqual(
      [],
    );
  });

  test('say nothing of what there is none of', () => {
    expect(families(statsWith({ clients: [], received: {} })).has('procbus_client_connections')).toBe(false);
  });

  test.each(['DOMAIN\\anna', 'a "b" \\" {c="d"}', 'two\nlines', 'größe', ''])(
    'have the name of a user as it is: %j',
    (user) => {
      const clients = [{ ...connection, connections: 1, user }];
      expect(value(statsWith({ clients }), 'procbus_client_connections', { uid: '1000', user })).toBe(1);
    },
  );

  test('can be read, and are clean, whatever somebody is called', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (user, type) => {
        const clients = [{ ...connection, connections: 1, user }];
        const lines = renderPrometheus(statsWith({ clients, received: { [type]: 3 } }), user);
        const known = parse(renderPrometheus(statsWith({}), software));
        expect([...parse(lines).keys()]).toEqual([...known.keys()]);
        expect(lines.join('')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      }),
    );
  });
});
