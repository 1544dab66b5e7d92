/*
 * The figures of a helper for people. Pure: the same figures give the same lines.
 */
import { eventTypes, type EventType } from '@procbus/protocol';
import type { ConnectionStats, HelperFigures, HelperStats, PeerStats, UserStats } from '../stats.ts';
import { clip } from './display-width.ts';
import { formatDuration } from './duration.ts';
import { renderCells, type Cell, type Colour, type LineStyle } from './line.ts';
import { printable } from './printable.ts';
import { formatBytes, formatCount, formatRate, formatShare } from './quantity.ts';
import { renderTable, type Column } from './table.ts';

/** What figures are shown with. */
export interface StatsContext {
  /** How the helper introduced itself. */
  readonly software: string;
  /** Its figures a while ago, for rates. */
  readonly before?: HelperStats | undefined;
}

/** Columns of the name of a user at most. */
const userWidth = 16;
/** Seconds that something may have waited for a client, before it is worth a colour. */
const longLag = 1;

/** All that is known, without line ends. */
export function renderStats(stats: HelperStats, context: StatsContext, style: LineStyle): string[] {
  const { connection, helper } = stats;
  const software: Cell = { text: printable(context.software), colour: 'bold' };
  if (helper === undefined) {
    const why: Cell = { text: 'Your grant shows no more than your own connection.', colour: 'dim' };
    return [
      renderCells([software], style),
      '',
      ...ownTable(connection, style),
      '',
      renderCells([why], style),
    ];
  }
  const period = periodOf(helper, context.before?.helper);
  const header = [
    software,
    { text: `up ${formatDuration(helper.uptime)}` },
    { text: `cursor ${printable(helper.epoch)}:${helper.seq}` },
  ];
  const sections = [
    [renderCells(header, style)],
    eventTable(helper, period, style),
    factLines(helper, period, style),
    userTable(helper.clients, style),
    peerTable(helper, style),
  ];
  const lines: string[] = [];
  for (const section of sections) {
    if (lines.length > 0) lines.push('');
    lines.push(...section);
  }
  return lines;
}

/** From one look at the same run of a helper to the next. */
interface Period {
  readonly seconds: number;
  readonly before: HelperFigures;
}

function periodOf(now: HelperFigures, before: HelperFigures | undefined): Period | undefined {
  if (before === undefined || before.epoch !== now.epoch) return undefined;
  const seconds = now.uptime - before.uptime;
  return seconds > 0 ? { seconds, before } : undefined;
}

/** What the kernel told, by type, and what it is asked for. */
function eventTable(helper: HelperFigures, period: Period | undefined, style: LineStyle): string[] {
  const columns: Column[] = [{ title: 'EVENT' }, { title: 'RECEIVED', align: 'right' }];
  if (period !== undefined) columns.push({ title: 'RATE', align: 'right' });
  columns.push({ title: 'KERNEL FILTER' });
  const row = (name: string, count: (figures: HelperFigures) => number, filter: Cell): Cell[] => {
    const cells: Cell[] = [{ text: printable(name) }, countCell(count(helper))];
    if (period !== undefined) cells.push(rateCell((count(helper) - count(period.before)) / period.seconds));
    return [...cells, filter];
  };
  const rows = typesOf(helper).map((type) =>
    row(type, ({ received }) => received[type] ?? 0, filterCell(helper, type)),
  );
  return renderTable(columns, [...rows, row('all', receivedInAll, { text: '' })], style);
}

/** Types to be shown: not those that the kernel drops, and of which there are none. */
function typesOf({ received, kernelFilter: { processes, threads } }: HelperFigures): EventType[] {
  // A later helper may know more types.
  const known = new Set([...eventTypes, ...(Object.keys(received) as EventType[])]);
  return [...known].filter(
    (type) => (received[type] ?? 0) > 0 || processes.includes(type) || threads.includes(type),
  );
}

function receivedInAll({ received }: HelperFigures): number {
  return Object.values(received).reduce((sum, count) => sum + count, 0);
}

function rateCell(perSecond: number): Cell {
  return { text: formatRate(perSecond), colour: perSecond === 0 ? 'dim' : undefined };
}

function filterCell({ kernelFilter: { processes, threads } }: HelperFigures, type: EventType): Cell {
  const passes = [];
  if (processes.includes(type)) passes.push('processes');
  if (threads.includes(type)) passes.push('threads');
  return passes.length === 0
    ? { text: 'drops all', colour: 'dim' }
    : { text: `passes ${passes.join(' and ')}` };
}

/** What is one of its kind, a line each. */
function factLines(helper: HelperFigures, period: Period | undefined, style: LineStyle): string[] {
  const { lost, journal, processes, programReader, eventLoopDelay, memory } = helper;
  const facts: readonly (readonly [label: string, ...what: Cell[]])[] = [
    [
      'LOST',
      lossCell(lost.kernel, `by the kernel (queue ${formatBytes(helper.receiveBuffer)})`),
      lossCell(lost.queue, 'for slow clients'),
      ...newLossCells(lost, period),
    ],
    [
      'JOURNAL',
      { text: formatShare(journal.bytes, journal.limit) },
      { text: `${formatCount(journal.events)} events` },
      { text: formatDuration(journal.seconds) },
      { text: `since ${printable(journal.oldest)}` },
    ],
    [
      'TABLE',
      { text: `${formatCount(processes.living)} processes` },
      { text: `${formatCount(processes.ended)} that have ended` },
      { text: readers[programReader ?? 'null'] ?? '' },
    ],
    [
      'DELAY',
      { text: `${milliseconds(eventLoopDelay.p50)} median` },
      { text: `${milliseconds(eventLoopDelay.p99)} for one in 100` },
      { text: `${milliseconds(eventLoopDelay.max)} at most` },
    ],
    ['MEMORY', { text: formatBytes(memory.rss) }, { text: `${formatBytes(memory.heapUsed)} of objects` }],
    ['CPU', ...cpuCells(helper, period)],
  ];
  const width = Math.max(...facts.map(([label]) => label.length));
  return facts.map(([label, ...what]) =>
    renderCells([{ text: label, colour: 'bold', width }, ...what], style),
  );
}

function milliseconds(ms: number): string {
  return formatDuration(ms / 1000);
}

const readers: Readonly<Record<string, string>> = {
  'real-time': 'read at real-time priority',
  nice: 'read at nice -20',
  none: 'read at no priority',
  off: 'programs not read: no grant tells of them',
  null: 'read by the main thread',
};

function lossCell(count: number, how: string): Cell {
  return { text: `${formatCount(count)} ${how}`, colour: redUnlessZero(count) };
}

/** How fast events are being lost, if they are. */
function newLossCells({ kernel, queue }: HelperFigures['lost'], period: Period | undefined): Cell[] {
  if (period === undefined) return [];
  const { before, seconds } = period;
  const lost = kernel + queue - before.lost.kernel - before.lost.queue;
  return lost > 0 ? [{ text: `now ${formatRate(lost / seconds)}`, colour: 'red' }] : [];
}

function redUnlessZero(count: number): Colour | undefined {
  return count === 0 ? undefined : 'red';
}

function cpuCells({ cpu, uptime }: HelperFigures, period: Period | undefined): Cell[] {
  const time = cpu.user + cpu.system;
  const share =
    period === undefined
      ? `${percent(time / uptime)} since it started`
      : percent((time - period.before.cpu.user - period.before.cpu.system) / period.seconds);
  return [
    { text: `${formatDuration(cpu.user)} user` },
    { text: `${formatDuration(cpu.system)} system` },
    { text: share },
  ];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** The columns that all tables of connections have. */
const queueColumns = {
  subscriptions: { title: 'SUBSCRIPTIONS', align: 'right' },
  queued: { title: 'QUEUED', align: 'right' },
  lag: { title: 'LAG', align: 'right' },
  delivered: { title: 'DELIVERED', align: 'right' },
  lost: { title: 'LOST', align: 'right' },
} as const satisfies Record<string, Column>;

type Queue = Pick<ConnectionStats, 'queuedBytes' | 'lag' | 'lost'>;

const queuedCell = ({ queuedBytes }: Queue): Cell => ({ text: formatBytes(queuedBytes) });
const lagCell = ({ lag }: Queue): Cell =>
  lag === 0 ? { text: '-' } : { text: formatDuration(lag), colour: lag >= longLag ? 'yellow' : undefined };
const countCell = (count: number): Cell => ({ text: formatCount(count) });
const lostCell = ({ lost }: Queue): Cell => ({ ...countCell(lost), colour: redUnlessZero(lost) });

/** Who waits longest comes first, then who has lost the most; else the order stays. */
function worstFirst<T extends Queue>(queues: readonly T[]): T[] {
  return queues.toSorted((a, b) => b.lag - a.lag || b.queuedBytes - a.queuedBytes || b.lost - a.lost);
}

function ownTable(connection: ConnectionStats, style: LineStyle): string[] {
  const { subscriptions, queued, lag, delivered, lost } = queueColumns;
  const row = [
    { text: String(connection.uid) },
    countCell(connection.subscriptions),
    queuedCell(connection),
    lagCell(connection),
    countCell(connection.delivered),
    lostCell(connection),
  ];
  return renderTable([{ title: 'UID' }, subscriptions, queued, lag, delivered, lost], [row], style);
}

function userTable(users: readonly UserStats[], style: LineStyle): string[] {
  const { subscriptions, queued, lag, lost } = queueColumns;
  const rows = worstFirst(users).map((user) => [
    { text: nameOf(user) },
    countCell(user.connections),
    countCell(user.subscriptions),
    queuedCell(user),
    lagCell(user),
    lostCell(user),
  ]);
  const connections: Column = { title: 'CONNECTIONS', align: 'right' };
  return renderTable([{ title: 'USER' }, connections, subscriptions, queued, lag, lost], rows, style);
}

function peerTable({ connections, clients }: HelperFigures, style: LineStyle): string[] {
  const { subscriptions, queued, lag, delivered, lost } = queueColumns;
  const names = new Map(clients.map((user) => [user.uid, nameOf(user)]));
  const rows = worstFirst<PeerStats>(connections).map((peer) => [
    { text: String(peer.pid) },
    { text: names.get(peer.uid) ?? String(peer.uid) },
    countCell(peer.subscriptions),
    queuedCell(peer),
    lagCell(peer),
    countCell(peer.delivered),
    lostCell(peer),
    { text: printable(peer.software) },
  ]);
  const pid: Column = { title: 'PID', align: 'right' };
  // What clients say of themselves comes last, where it can be cut.
  const columns = [
    pid,
    { title: 'USER' },
    subscriptions,
    queued,
    lag,
    delivered,
    lost,
    { title: 'SOFTWARE' },
  ];
  return renderTable(columns, rows, style);
}

function nameOf({ user, uid }: UserStats): string {
  return clip(printable(user ?? String(uid)), userWidth);
}
