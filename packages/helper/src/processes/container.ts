/*
 * The container a process runs in, told by the name of its control group.
 *
 * Container runtimes put each container into a cgroup of its own and name it after the container; a
 * table of these names, tried on one segment of the path after the other, is all there is. Containers
 * nest: the innermost wins. What only watches over a container (conmon, the monitor of LXC, the
 * supervisor of nspawn) is outside of it, and so are virtual machines.
 *
 * The invariant: the work is linear in the text, whatever the segments are called. Each pattern is
 * anchored at both ends of one segment, and repeats nothing within a repetition.
 *
 * The trade-off: a name is a claim. Root may name a cgroup anything, and any user those below their own
 * service manager, as rootless Podman does. So this is for showing and for choosing events, never for
 * granting anything. And a container whose runtime was told to name its cgroup otherwise is not seen.
 */

/** A container, as its runtime knows it. */
export interface Container {
  /** Whose naming scheme it is, e.g. `docker`; `kubernetes` where the runtime below does not show. */
  readonly runtime: string;
  /** The full id of 64 hexadecimal digits, or the name, where the runtime goes by names. */
  readonly id: string;
}

interface Rule {
  readonly runtime: string;
  /** Matches one whole segment of the path, and captures the id. */
  readonly pattern: RegExp;
  /** Matches the segment above, where the segment alone says too little. */
  readonly parent?: RegExp;
  /** The segment below in which a process is still outside of the container. */
  readonly outside?: string;
}

const hex = '([0-9a-f]{64})';
const name = String.raw`(\w[\w.+@:-]*)`;
/** A name in a systemd unit: with a backslash, as in `my\x2dbox`. */
const unitName = String.raw`(\w[\w.\\-]*)`;

/**
 * `docker-ID.scope` as the systemd cgroup driver makes it, `crio-ID` as some do without systemd, and
 * `kubepods-….slice:cri-containerd:ID`, which comes of a systemd name given to the other driver.
 */
function prefixed(prefix: string): RegExp {
  return new RegExp(`^(?:${prefix}-|[^:]*:${prefix}:)${hex}(?:\\.scope)?$`);
}

function segment(pattern: string): RegExp {
  return new RegExp(`^${pattern}$`);
}

/** In order: the first rule that matches a segment has it. */
const rules: readonly Rule[] = [
  { runtime: 'docker', pattern: prefixed('docker') },
  { runtime: 'containerd', pattern: prefixed('cri-containerd') },
  { runtime: 'cri-o', pattern: prefixed('crio') },
  { runtime: 'podman', pattern: prefixed('libpod') },
  // `podman run --cgroups=split`, which Quadlet uses: within the cgroup of the service.
  { runtime: 'podman', pattern: segment(`libpod-payload-${hex}`) },
  { runtime: 'nerdctl', pattern: prefixed('nerdctl') },

  // A bare id is one only where the segment above is known.
  { runtime: 'docker', pattern: segment(hex), parent: /^docker$/ },
  {
    runtime: 'kubernetes',
    pattern: segment(hex),
    // The uid of a pod, or the hash of a static one; slices have _ for -.
    parent: /^(?:[\w-]+-)?pod[0-9a-f_-]{32,36}(?:\.slice)?$/,
  },
  // The namespace of containerd, which is the parent where the client names none.
  { runtime: 'nerdctl', pattern: segment(hex), parent: /^default$/ },
  { runtime: 'containerd', pattern: segment(hex), parent: /^k8s\.io$/ },

  // systemd-machined registers machines of libvirt under the same names, numbered by their driver.
  { runtime: 'libvirt-lxc', pattern: segment(String.raw`machine-(lxc\\x2d\d+\\x2d[\w.\\-]+)\.scope`) },
  {
    runtime: 'systemd-nspawn',
    pattern: segment(String.raw`machine-(?!(?:qemu|ch)\\x2d\d+\\x2d)${unitName}\.scope`),
    outside: 'supervisor',
  },
  {
    runtime: 'systemd-nspawn',
    pattern: segment(String.raw`systemd-nspawn@${unitName}\.service`),
    outside: 'supervisor',
  },

  { runtime: 'lxc', pattern: segment(String.raw`lxc\.payload\.${name}`) },
  { runtime: 'lxc', pattern: segment(name), parent: /^lxc(?:\.payload)?$/ },
];

/**
 * Finds the container that a process runs in.
 *
 * @param cgroup - `/proc/PID/cgroup`, all of it, of any version; see cgroups(7)
 * @returns its id or name, `undefined` for a process of the host
 */
export function containerOf(cgroup: string): string | undefined {
  return findContainer(cgroup)?.id;
}

/**
 * {@link containerOf}, with the runtime.
 *
 * The lines, one for each hierarchy, need not agree: a runtime makes no cgroup in a hierarchy that it
 * does not use, and an inner one uses fewer. So the line with most containers in it is believed.
 */
export function findContainer(cgroup: string): Container | undefined {
  let container: Container | undefined;
  let depth = 0;
  let previous = '';
  for (const line of cgroup.split('\n')) {
    const path = pathOf(line);
    // Most hierarchies have the same path, and are side by side.
    if (path === previous) continue;
    previous = path;
    const nested = containersIn(path);
    if (nested.length > depth) {
      depth = nested.length;
      container = nested.at(-1);
    }
  }
  return container;
}

/** The path of `hierarchy:controllers:path`, which may have colons of its own; empty where none is. */
function pathOf(line: string): string {
  const path = /^\d+:[^:]*:(\/.*)$/s.exec(line)?.[1] ?? '';
  // The kernel's remark on a cgroup that is gone before its last, dead process.
  return path.endsWith(deleted) ? path.slice(0, -deleted.length) : path;
}

const deleted = ' (deleted)';

/** The containers along a path, from the outermost on. */
function containersIn(path: string): Container[] {
  const segments = path.split('/');
  const containers: Container[] = [];
  for (const [index, text] of segments.entries()) {
    for (const { runtime, pattern, parent, outside } of rules) {
      const found = pattern.exec(text)?.[1];
      if (found === undefined || parent?.test(segments[index - 1] ?? '') === false) continue;
      const inside = outside === undefined || segments[index + 1] !== outside;
      if (inside) containers.push({ runtime, id: unescapeUnit(found) });
      break;
    }
  }
  return containers;
}

/**
 * Undoes systemd's escapes of what a machine name may have: nearly always `\x2d`, a hyphen. Others stay
 * as they are, so that no control characters come of them. See systemd-escape(1).
 */
function unescapeUnit(text: string): string {
  return text.replaceAll(/\\x([0-9a-f]{2})/g, (escape, code: string) => {
    const character = String.fromCharCode(Number.parseInt(code, 16));
    return /[\w.+@:-]/.test(character) ? character : escape;
  });
}
