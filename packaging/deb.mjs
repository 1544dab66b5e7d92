/*
 * Builds procbus_<version>_<arch>.deb: a tree of all that is installed, and the control files, for dpkg-deb.
 *
 * Two builds of one commit are equal to the byte, on any machine: files belong to root, their modes do not depend on
 * the umask, and all times are that of the commit, or $SOURCE_DATE_EPOCH. What tsc has built of sources that are gone
 * is left out.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import {
  architectures,
  builtFiles,
  filesBelow,
  filesThatRun,
  packages,
  productionDependencies,
  readManifest,
  run,
} from './dependencies.mjs';
import { debianChangelog, debianCopyright } from './documents.mjs';

const repository = fileURLToPath(new URL('..', import.meta.url));
const inRepository = (path) => join(repository, path);
const source = (path) => readFileSync(inRepository(path));

const { values: options } = parseArgs({
  options: {
    // Another machine than this one, as in arm64.
    arch: { type: 'string', default: run('dpkg', ['--print-architecture']).trim() },
    // Another version than that of package.json, to try an upgrade.
    version: { type: 'string', default: readManifest(repository).version },
    output: { type: 'string', default: inRepository('dist') },
  },
});
const cpu = architectures[options.arch];
if (cpu === undefined) throw new Error(`--arch ${options.arch}: not one of ${Object.keys(architectures)}`);
// A pre-release comes before its release; for Debian a tilde says that.
const debianVersion = options.version.replace('-', '~');
const maintainer = 'The procbus authors <maintainers@procbus.invalid>';
const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? commitTime());

const work = mkdtempSync(join(tmpdir(), 'procbus-deb-'));
try {
  process.stdout.write(`${build()}\n`);
} finally {
  rmSync(work, { recursive: true, force: true });
}

function build() {
  const root = join(work, 'root');
  const dependencies = productionDependencies(repository, cpu, work);
  stageProgram(root, dependencies);
  stageSystem(root);
  stageDocuments(root, dependencies);
  stageControl(root);
  settle(root);
  mkdirSync(options.output, { recursive: true });
  const file = resolve(options.output, `procbus_${debianVersion}_${options.arch}.deb`);
  process.env.SOURCE_DATE_EPOCH = String(epoch);
  run('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', root, file]);
  return file;
}

/** The three packages with all that they need, and the links by which they are called. */
function stageProgram(root, dependencies) {
  const modules = join(root, 'usr/lib/procbus/node_modules');
  for (const name of packages) {
    const from = inRepository(`packages/${name}`);
    const to = join(modules, '@procbus', name);
    const { files: _files, scripts: _scripts, man: _man, ...manifest } = readManifest(from);
    put(join(to, 'package.json'), `${JSON.stringify({ ...manifest, version: options.version }, null, 2)}\n`);
    for (const file of builtFiles(from))
      put(join(to, file), withoutMap(readFileSync(join(from, file), 'utf8')));
    for (const [command, file] of Object.entries(manifest.bin ?? {})) {
      const program = readFileSync(join(from, file), 'utf8').replace(/^#!.*/, '#!/usr/bin/node');
      put(join(to, file), program, 0o755);
      const directory = command === 'procbusd' ? 'usr/sbin' : 'usr/bin';
      link(join(root, directory, command), `../lib/procbus/node_modules/@procbus/${name}/${file}`);
    }
  }
  for (const dependency of dependencies) {
    for (const file of filesThatRun(dependency)) {
      put(join(modules, dependency.to, file), readFileSync(join(dependency.from, file)));
    }
  }
}

/** What systemd and the administrator find. */
function stageSystem(root) {
  for (const unit of ['procbus.socket', 'procbus.service']) {
    put(join(root, 'usr/lib/systemd/system', unit), source(`systemd/${unit}`));
  }
  for (const kind of ['sysusers', 'tmpfiles']) {
    const file = `systemd/procbus.${kind}.conf`;
    if (existsSync(inRepository(file))) put(join(root, `usr/lib/${kind}.d/procbus.conf`), source(file));
  }
  put(join(root, 'etc/procbus/procbusd.toml'), source('packaging/procbusd.toml'));
}

/** Manual pages, completions, and what Debian wants to have in /usr/share/doc. */
function stageDocuments(root, dependencies) {
  const share = join(root, 'usr/share');
  for (const page of readdirSync(inRepository('packaging/man'))) {
    put(join(share, `man/man${page.at(-1)}/${page}.gz`), zipped(source(`packaging/man/${page}`)));
  }
  put(join(share, 'bash-completion/completions/procbus'), completion('bash'));
  put(join(share, 'zsh/vendor-completions/_procbus'), completion('zsh'));
  put(join(share, 'fish/vendor_completions.d/procbus.fish'), completion('fish'));
  const doc = join(share, 'doc/procbus');
  const changelog = debianChangelog(String(source('CHANGELOG.md')), {
    version: options.version,
    debianVersion,
    maintainer,
    date: new Date(epoch * 1000),
  });
  put(join(doc, 'changelog.gz'), zipped(changelog));
  put(join(doc, 'copyright'), debianCopyright(String(source('LICENSE')), dependencies));
  put(join(doc, 'README.md'), source('README.md'));
  for (const file of readdirSync(inRepository('docs'))) put(join(doc, 'docs', file), source(`docs/${file}`));
  for (const file of readdirSync(inRepository('examples')))
    put(join(doc, 'examples', file), source(`examples/${file}`));
  put(join(share, 'lintian/overrides/procbus'), source('packaging/debian/lintian-overrides'));
}

/** What dpkg itself reads: DEBIAN/control and its like. */
function stageControl(root) {
  const installed = filesBelow(root);
  const sizes = installed.map((file) => Math.ceil(readFileSync(join(root, file)).length / 1024));
  const control = Object.entries({
    VERSION: debianVersion,
    ARCHITECTURE: options.arch,
    MAINTAINER: maintainer,
    INSTALLED_SIZE: sizes.reduce((sum, size) => sum + size, 0),
  }).reduce(
    (text, [name, value]) => text.replace(`@${name}@`, value),
    String(source('packaging/debian/control')),
  );
  put(join(root, 'DEBIAN/control'), control);
  put(join(root, 'DEBIAN/conffiles'), '/etc/procbus/procbusd.toml\n');
  const sums = installed
    .filter((file) => !file.startsWith('etc/'))
    .map(
      (file) =>
        `${createHash('md5')
          .update(readFileSync(join(root, file)))
          .digest('hex')}  ${file}\n`,
    );
  put(join(root, 'DEBIAN/md5sums'), sums.join(''));
  for (const script of ['postinst', 'prerm', 'postrm']) {
    put(join(root, 'DEBIAN', script), source(`packaging/debian/${script}`), 0o755);
  }
}

/** When the commit was made, in s since 1970; of sources without a repository, when the newest change was written down. */
function commitTime() {
  try {
    return run('git', ['-c', 'safe.directory=*', 'log', '-1', '--format=%ct'], repository).trim();
  } catch {
    return Math.floor(statSync(inRepository('CHANGELOG.md')).mtimeMs / 1000);
  }
}

function put(path, content, mode = 0o644) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
}

function link(path, target) {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(target, path);
}

/** Gives all directories their mode, and everything its time. */
function settle(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) settle(path);
    else lutimesSync(path, epoch, epoch);
  }
  chmodSync(directory, 0o755);
  lutimesSync(directory, epoch, epoch);
}

/** As `gzip -9n` would: without a name and a time. */
function zipped(content) {
  return gzipSync(content, { level: 9 });
}

/** The map is not there. */
function withoutMap(code) {
  return code.replace(/\n\/\/# sourceMappingURL=.*\n?$/, '\n');
}

function completion(shell) {
  return run(process.execPath, [inRepository('packages/client/bin/procbus.js'), 'completion', shell]);
}
