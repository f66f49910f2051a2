import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { freePort } from '#libs/platform';

const launcherFile = fileURLToPath(new URL('../../dist/apps/cli/main.js', import.meta.url));

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'sluice-interrupted-'));
});
afterEach(async () => rm(home, { recursive: true, force: true }));

it.each(['PostgreSQL', 'schema', 'processes'])(
  'stops in order, with 0, when it is interrupted while it starts: %s',
  async (step) => {
    const port = await freePort();
    // Nobody has to answer there: only rollouts need it.
    const env = { ...process.env, SLUICE_HOME: home, SLUICE_PORT: String(port), TEMPORAL_ADDRESS: '127.0.0.1:9' };
    const launcher = spawn(process.execPath, [launcherFile, 'start'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let isInterrupted = false;
    for (const stream of [launcher.stdout, launcher.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString('utf8');
        if (!isInterrupted && output.includes(`  ${step.padEnd(12)} `)) isInterrupted = launcher.kill('SIGINT');
      });
    }
    const [code] = (await once(launcher, 'close')) as [number | null];
    expect([code, output.includes('cannot start'), output.trimEnd().endsWith('stopped')]).toEqual([0, false, true]);
  },
);
