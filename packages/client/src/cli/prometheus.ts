/*
 * The figures of a helper in Prometheus' text format, to be scraped or collected as a text file:
 * https://prometheus.io/docs/instrumenting/exposition_formats/. Pure.
 *
 * No library: prom-client is there to measure the program that it runs in, with a registry of counters that
 * are counted up in place. Here all has been counted by another program, and only has to be printed.
 */
import type { ConnectionStats, HelperFigures, HelperStats, UserStats } from '../stats.ts';

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

interface Metric {
  /** Without `procbus_`. */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'summary';
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** Lines without line ends. Times are in seconds, sizes in bytes, counts since the helper started. */
export function renderPrometheus({ connection, helper }: HelperStats, software: string): string[] {
  // The connection that asks is of interest only where there is nothing else.
  const metrics = helper === undefined ? ofConnection(connection) : ofHelper(helper, software);
  return metrics.flatMap(linesOf);
}

function ofHelper(helper: HelperFigures, software: string): Metric[] {
  const { received, lost, kernelFilter, processes, journal, eventLoopDelay, memory, cpu } = helper;
  return [
    gauge('helper_info', 'The helper, and which run of it this is.', [
      { labels: { software, epoch: helper.epoch }, value: 1 },
    ]),
    gauge('uptime_seconds', 'How long the helper has run.', one(helper.uptime)),
    counter(
      'sequence_numbers_total',
      'Sequence numbers given out, for events and for losses.',
      one(helper.seq),
    ),
    counter('events_received_total', 'Events that the kernel told.', by('type', received)),
    counter(
      'events_lost_total',
      'Events that the kernel dropped, or the queues of slow clients.',
      by('where', lost),
    ),
    gauge('kernel_filter_passes', 'Types of events that the kernel lets through now.', [
      ...kernelFilter.processes.map((type) => ({ labels: { type, of: 'processes' }, value: 1 })),
      ...kernelFilter.threads.map((type) => ({ labels: { type, of: 'threads' }, value: 1 })),
    ]),
    gauge('receive_buffer_bytes', 'What the kernel may queue.', one(helper.receiveBuffer)),
    gauge('processes', 'Processes in the table.', by('state', processes)),
    gauge('journal_events', 'Events that can be told again.', one(journal.events)),
    gauge('journal_bytes', 'What they take.', one(journal.bytes)),
    gauge('journal_limit_bytes', 'What they may take.', one(journal.limit)),
    gauge('journal_span_seconds', 'How far the journal reaches back.', one(journal.seconds)),
    {
      name: 'event_loop_delay_seconds',
      type: 'summary',
      help: 'How late the helper comes to what is due, since anybody last asked.',
      samples: [
        { labels: { quantile: '0.5' }, value: eventLoopDelay.p50 / 1000 },
        { labels: { quantile: '0.99' }, value: eventLoopDelay.p99 / 1000 },
        { labels: { quantile: '1' }, value: eventLoopDelay.max / 1000 },
      ],
    },
    gauge('resident_memory_bytes', 'Memory that the helper occupies.', one(memory.rss)),
    gauge('heap_used_bytes', 'Memory of its JavaScript objects.', one(memory.heapUsed)),
    counter('cpu_seconds_total', 'Time on the CPU, of all threads.', by('mode', cpu)),
    ...ofUsers(helper.clients),
  ];
}

function ofUsers(users: readonly UserStats[]): Metric[] {
  const each = (value: (user: UserStats) => number): Sample[] =>
    users.map((user) => ({
      labels: { uid: String(user.uid), ...(user.user === undefined ? {} : { user: user.user }) },
      value: value(user),
    }));
  // What is lost is that of connections that there are, and falls when one goes: no counter.
  return [
    gauge(
      'client_connections',
      'Connections.',
      each(({ connections }) => connections),
    ),
    gauge(
      'client_subscriptions',
      'Subscriptions of all connections.',
      each(({ subscriptions }) => subscriptions),
    ),
    gauge(
      'client_queued_bytes',
      'What waits to be read.',
      each(({ queuedBytes }) => queuedBytes),
    ),
    gauge(
      'client_lag_seconds',
      'How long the oldest of it has waited.',
      each(({ lag }) => lag),
    ),
    gauge(
      'client_lost_events',
      'Events that connections have lost.',
      each(({ lost }) => lost),
    ),
  ];
}

function ofConnection({ uid, subscriptions, queuedBytes, lag, delivered, lost }: ConnectionStats): Metric[] {
  const own = (value: number): Sample[] => [{ labels: { uid: String(uid) }, value }];
  return [
    gauge('connection_subscriptions', 'Subscriptions of the connection that asks.', own(subscriptions)),
    gauge('connection_queued_bytes', 'What waits to be read by it.', own(queuedBytes)),
    gauge('connection_lag_seconds', 'How long the oldest of it has waited.', own(lag)),
    counter('connection_events_delivered_total', 'Events that were queued for it.', own(delivered)),
    counter('connection_events_lost_total', 'Events that were dropped for it.', own(lost)),
  ];
}

function counter(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, type: 'counter', help, samples };
}

function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, type: 'gauge', help, samples };
}

function one(value: number): Sample[] {
  return [{ labels: {}, value }];
}

/** A sample for each entry, told apart by a label. */
function by(label: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([key, value]) => ({ labels: { [label]: key }, value }));
}

function linesOf({ name, type, help, samples }: Metric): string[] {
  if (samples.length === 0) return [];
  const full = `procbus_${name}`;
  return [
    `# HELP ${full} ${help}`,
    `# TYPE ${full} ${type}`,
    ...samples.map(({ labels, value }) => `${full}${labelsOf(labels)} ${value}`),
  ];
}

function labelsOf(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${labelValue(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** A value of a label. The format knows three escapes; what else a terminal would obey is replaced. */
function labelValue(text: string): string {
  return text
    .replaceAll(/[\\"]/g, String.raw`\$&`)
    .replaceAll('\n', String.raw`\n`)
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '\u{FFFD}');
}
