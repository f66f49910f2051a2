import { fileURLToPath } from 'node:url';
import swc from 'unplugin-swc';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('.', import.meta.url));

// The doors of package.json point at the built JavaScript; tests read the sources instead.
const sourceDoors = [
  { find: /^#libs\/(.+)$/, replacement: `${root}libs/$1/index.ts` },
  { find: /^#workflows\/(.+)$/, replacement: `${root}workflows/$1.ts` },
  { find: /^#activities\/(.+)$/, replacement: `${root}activities/$1.ts` },
];

export default defineConfig({
  plugins: [swc.vite({ module: { type: 'es6' }, jsc: { target: 'es2023' } })],
  resolve: { alias: sourceDoors },
  test: {
    globalSetup: ['./test/support/global-setup.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{libs,apps,workflows,activities}/**/*.test.ts', 'deploy/models/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'replay',
          include: ['test/replay/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // Whole systems under load: one file at a time, so that they do not take each other's processor.
        test: {
          name: 'e2e',
          include: ['test/{e2e,contract,chaos}/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 240_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
