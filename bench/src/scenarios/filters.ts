/*
 * What it costs to match one event against one subscription's filter.
 */
import {
  conditionFields,
  matches,
  maxListLength,
  maxPatternLength,
  parseFilter,
  type Filter,
  type FilterRequest,
  type KernelEvent,
  type Subject,
} from '@procbus/protocol';
import { median, type Scenario } from '../scenario.ts';

/** A compiler in a container, as there are many on a machine that builds. */
const compiler: Subject = {
  pid: 4711,
  comm: 'cc1plus',
  exe: '/usr/libexec/gcc/x86_64-linux-gnu/14/cc1plus',
  args: [
    '/usr/libexec/gcc/cc1plus',
    '-quiet',
    '-I',
    'include',
    '-D',
    'NDEBUG',
    '-O2',
    '-o',
    '/tmp/ccX.s',
    'src/main.cpp',
  ],
  cgroup: '/user.slice/user-1000.slice/user@1000.service/app.slice/build.scope',
  container: undefined,
  uid: 1000,
  user: 'builder',
  isWithin: () => false,
};

/** The same with as many arguments as are kept, all alike: the most work for a pattern. */
const longest: Subject = { ...compiler, args: ['a'.repeat(4095)] };

const typical: FilterRequest = {
  events: ['exec', 'exit'],
  users: ['builder', 'root'],
  exe: ['/usr/bin/*', '*/cc1*'],
  container: ['none'],
  not: { comm: ['sh', 'dash', 'bash'] },
};

/** All conditions with as many entries as are allowed, each of which fails only in the end. */
function largest(): FilterRequest {
  const patterns = Array.from({ length: maxPatternLength / 256 }, (_, at) => `*${'a'.repeat(252 - at)}?b*`);
  const numbers = Array.from({ length: maxListLength }, (_, at) => 100_000 + at);
  const names = numbers.map((number) => `name-${number}`);
  return {
    // Conditions under `not` that do not hold are all evaluated.
    not: {
      pids: numbers,
      subtree: names,
      uids: numbers,
      users: names,
      container: names,
      exit: numbers.map((number) => number - 99_900).slice(0, 63),
      minRuntime: 1e6,
      args: patterns,
    },
  };
}

const exit: KernelEvent = {
  type: 'exit',
  kernelTime: 1n,
  cpu: 0,
  pid: 4711,
  tid: 4711,
  status: 0,
  ppid: 1,
};

/** Times per second that a filter can be matched against an event: the median of seven rounds. */
function rate(filter: Filter, subject: Subject): number {
  const life = { status: 0, runtime: 1.5 };
  const round = (ms: number): number => {
    let count = 0;
    let matched = 0;
    const begun = performance.now();
    for (let now = begun; now < begun + ms; now = performance.now()) {
      for (let i = 0; i < 100; i++) if (matches(filter, exit, subject, life)) matched++;
      count += 100;
    }
    if (matched > count) throw new Error('never so; keeps the result alive');
    return count / ((performance.now() - begun) / 1000);
  };
  round(300);
  return median(Array.from({ length: 7 }, () => round(200)));
}

/** The scenario `filters`. */
export const filters: Scenario = {
  name: 'filters',
  about: 'events a second that one subscription’s filter is matched against, on one core',
  run: async (progress) => {
    const cases: [string, FilterRequest, Subject][] = [
      ['empty', {}, compiler],
      ['typical (5 conditions)', typical, compiler],
      ['largest, ordinary process', largest(), compiler],
      ['largest, 4 KiB of arguments', largest(), longest],
    ];
    progress(`a largest filter has ${conditionFields.length} kinds of conditions to choose from`);
    const figures = cases.map(([name, request, subject]) => ({
      name,
      rate: rate(parseFilter(request), subject),
    }));
    const first = figures[0]?.rate ?? 1;
    return {
      columns: ['filter', 'events/s', 'µs/event', '÷ empty'],
      rows: figures.map(({ name, rate: perSecond }) => [
        name,
        Math.round(perSecond).toLocaleString('en-US'),
        (1e6 / perSecond).toPrecision(3),
        (first / perSecond).toFixed(1),
      ]),
      targets: [],
      figures,
    };
  },
};
