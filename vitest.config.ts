import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Tests run the sources of the protocol, whichever package imports it. */
const alias = {
  '@procbus/protocol': fileURLToPath(new URL('packages/protocol/src/index.ts', import.meta.url)),
};

/** The rings: pure code, a real Unix socket in one process, the real kernel, and kernels in virtual machines. */
const ring = (name: string, timeout: number) => ({
  resolve: { alias },
  test: {
    name,
    include: [`packages/*/test/**/*.${name}.test.ts`, `test/**/*.${name}.test.ts`],
    testTimeout: timeout,
    hookTimeout: timeout,
  },
});

export default defineConfig({
  test: {
    // The kernel ring makes storms; two of them at once would disturb each other's counts.
    fileParallelism: false,
    projects: [ring('unit', 20_000), ring('socket', 60_000), ring('kernel', 120_000), ring('vm', 600_000)],
  },
});
