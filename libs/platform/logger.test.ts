import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const door = fileURLToPath(new URL('../../dist/libs/platform/index.js', import.meta.url));
const fullDisk = '/dev/full';

it.runIf(existsSync(fullDisk))('costs lines and not the process when the disk is full', async () => {
  const script = `import { createLogger } from ${JSON.stringify(door)};
    const log = createLogger({ service: 'test', level: 'info' });
    for (let line = 0; line < 3; line += 1) log.info('one more');
    setTimeout(() => process.exit(7), 50);`;
  const output = openSync(fullDisk, 'w');
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', output, 'ignore'] });
  closeSync(output);
  const [code] = (await once(child, 'exit')) as [number | null];
  expect(code).toBe(7);
});
