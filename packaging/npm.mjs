/*
 * Before `npm pack`: puts into a package what it brings along from elsewhere in the repository, and takes out what tsc
 * has built of sources that are gone. Run in the package's folder.
 */
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { filesBelow } from './dependencies.mjs';

const inRepository = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** What goes where, by the folder of the package. */
const brought = {
  protocol: {},
  helper: {
    man: ['packaging/man/procbusd.8', 'packaging/man/procbusd.toml.5'],
    share: [
      ...readdirSync(inRepository('systemd')).map((name) => `systemd/${name}`),
      'packaging/procbusd.toml',
    ],
  },
  client: { man: ['packaging/man/procbus.1'] },
}[basename(process.cwd())];

copyFileSync(inRepository('LICENSE'), 'LICENSE');
for (const [folder, files] of Object.entries(brought)) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const file of files) cpSync(inRepository(file), join(folder, basename(file)));
}
for (const file of filesBelow('dist').filter((name) => !name.startsWith('.'))) {
  if (!existsSync(join('src', file.replace(/(?:\.d\.ts|\.js)(?:\.map)?$/, '.ts'))))
    rmSync(join('dist', file));
}
