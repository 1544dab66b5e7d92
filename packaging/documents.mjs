/*
 * The two documents that Debian wants in forms of its own: the changelog, made of CHANGELOG.md, and the copyright
 * file, made of the licences of all that is bundled.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The changelog of one version, see deb-changelog(5).
 *
 * @param {string} markdown - CHANGELOG.md
 * @param {{ version: string, debianVersion: string, maintainer: string, date: Date }} of
 */
export function debianChangelog(markdown, { version, debianVersion, maintainer, date }) {
  const changes = sectionOf(markdown, version) ?? sectionOf(markdown, 'Unreleased') ?? '';
  const entries = changes
    .split(/^(?=- |### )/m)
    .map((entry) => entry.trim().replaceAll('`', ''))
    .filter((entry) => entry.startsWith('- '))
    .map((entry) => wrap(entry.slice(2), '  * ', '    '));
  if (entries.length === 0) entries.push(`  * Version ${version}.`);
  const when = date.toUTCString().replace('GMT', '+0000');
  return [
    `procbus (${debianVersion}) unstable; urgency=medium`,
    entries.join('\n'),
    ` -- ${maintainer}  ${when}\n`,
  ].join('\n\n');
}

/** What is below the heading of a version. */
function sectionOf(markdown, version) {
  return markdown
    .split(/^## /m)
    .find((section) => section.startsWith(`[${version}]`))
    ?.replace(/^.*\n/, '');
}

/** Text in lines of at most 79 characters. */
function wrap(text, first, others) {
  const lines = [];
  let line = first;
  for (const word of text.split(/\s+/)) {
    if (line.length + word.length > 78 && line !== others) {
      lines.push(line.trimEnd());
      line = others;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()].join('\n');
}

/**
 * The copyright file, see Debian's copyright format 1.0.
 *
 * @param {string} licence - the project's own, as in LICENSE
 * @param {import('./dependencies.mjs').Dependency[]} dependencies
 */
export function debianCopyright(licence, dependencies) {
  const own = { files: ['*'], name: 'MIT', text: licence };
  const stanzas = new Map();
  const koffi = dependencies.find(({ name }) => name === 'koffi');
  for (const dependency of dependencies) {
    // The ready built ones come without a licence of their own.
    const { from } = dependency.name.startsWith('@koromix/koffi-') ? (koffi ?? dependency) : dependency;
    const file = readdirSync(from).find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined) throw new Error(`${dependency.name} has no licence`);
    const text = readFileSync(join(from, file), 'utf8');
    const stanza = stanzas.get(text) ?? { files: [], name: dependency.license, text };
    stanza.files.push(`usr/lib/procbus/node_modules/${dependency.to}/*`);
    stanzas.set(text, stanza);
  }
  const header =
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: procbus\n';
  return [header, ...[own, ...stanzas.values()].map(stanzaText)].join('\n');
}

function stanzaText({ files, name, text }) {
  const holders = text.match(/^[ \t]*copyright (?!notice|license|owner).*$/gim)?.map((line) => line.trim());
  if (holders === undefined) throw new Error(`whose is ${files.join(', ')}?`);
  const common = `/usr/share/common-licenses/${name}`;
  const body = name === 'Apache-2.0' ? `On Debian systems, the full text is in ${common}.` : text.trim();
  return [
    `Files: ${files.join('\n       ')}`,
    `Copyright: ${holders.map((line) => line.replace(/^copyright (?:\(c\) )?/i, '')).join('\n           ')}`,
    `License: ${name}`,
    ...body.split('\n').map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`)),
    '',
  ].join('\n');
}
