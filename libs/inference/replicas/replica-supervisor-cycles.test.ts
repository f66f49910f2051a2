import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { mebibytes } from '#libs/kernel';
import { freshDatabase } from '../../../test/support/database.js';

const run = promisify(execFile);
const script = fileURLToPath(new URL('../../../test/load/model-cycles.ts', import.meta.url));
/** `SLUICE_TEST_CYCLES=500` is the long run whose numbers stand in docs/reference/benchmarks.md. */
const cycles = Number(process.env['SLUICE_TEST_CYCLES'] ?? 20);
interface Sample {
  cycle: number;
  heapBytes: number;
  residentBytes: number;
  handles: number;
  /** Objects of replicas that have gone. */
  kept: number;
  /** Sockets in the folder. */
  files: number;
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

it(
  `holds as much memory after ${cycles} loads and unloads of a model as after the first few`,
  async () => {
    await using db = await freshDatabase();
    const { stdout } = await run(process.execPath, ['--expose-gc', script, db.url, String(cycles)], {
      cwd: path.dirname(script),
      maxBuffer: mebibytes(16),
    });
    const samples = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Sample);
    expect(samples).toHaveLength(cycles);
    for (const { cycle, kept, files } of samples) expect({ cycle, kept, files }).toEqual({ cycle, kept: 0, files: 0 });
    // At first code is compiled and pools are filled.
    const settled = samples.slice(Math.floor(cycles / 4));
    const quarter = Math.max(3, Math.floor(settled.length / 4));
    const growthOf = (of: (sample: Sample) => number): number =>
      median(settled.slice(-quarter).map(of)) - median(settled.slice(0, quarter).map(of));
    const shown = JSON.stringify(samples.filter(({ cycle }) => cycle % Math.ceil(cycles / 10) === 0));
    if (cycles > 100) process.stdout.write(`${shown}\n`);
    expect(
      growthOf(({ heapBytes }) => heapBytes),
      shown,
    ).toBeLessThan(mebibytes(1));
    expect(
      growthOf(({ residentBytes }) => residentBytes),
      shown,
    ).toBeLessThan(mebibytes(12));
    expect(
      growthOf(({ handles }) => handles),
      shown,
    ).toBeLessThanOrEqual(1);
  },
  60_000 + cycles * 10_000,
);
