// `npm test`: makes the checkout runnable, then runs every test. Arguments go to vitest: `npm test -- libs/kernel`.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { consoleProgress, environment, node, prepare, root } from './prepare.mjs';

try {
  await prepare(consoleProgress);
} catch (error) {
  process.stderr.write(`\nthe tests cannot run: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const child = spawn(node, [vitest, 'run', ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
  env: environment(),
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.once('exit', (code) => process.exit(code ?? 1));
