// Makes the checkout runnable, then runs one script of it under Node 24: `node deploy/boot/run.mjs test/load/bench.ts`.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { consoleProgress, environment, node, prepare, root } from './prepare.mjs';

const [script, ...args] = process.argv.slice(2);
if (script === undefined) {
  process.stderr.write('usage: node deploy/boot/run.mjs <script> [arguments]\n');
  process.exit(2);
}
try {
  await prepare(consoleProgress);
} catch (error) {
  process.stderr.write(`\n${script} cannot run: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
const child = spawn(node, [join(root, script), ...args], { stdio: 'inherit', env: environment() });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.once('exit', (code) => process.exit(code ?? 1));
