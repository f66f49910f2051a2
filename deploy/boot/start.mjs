// `npm start`: makes the checkout runnable, then becomes the launcher.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { consoleProgress, environment, node, prepare, root } from './prepare.mjs';

const launcher = join(root, 'dist', 'apps', 'cli', 'main.js');
const args = ['start', ...process.argv.slice(2)];

try {
  await prepare(consoleProgress);
} catch (error) {
  process.stderr.write(`\nSluice cannot start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

const child = spawn(node, [launcher, ...args], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'], env: environment() });
// A signal may reach the launcher directly as well (Ctrl-C goes to the whole group) or only this process (npm hands it
// on here). As a message the launcher can tell the echo of one keystroke from a second one.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (child.connected) child.send({ kind: 'signal', signal });
  });
}
child.once('error', (error) => {
  process.stderr.write(`\nSluice cannot start: ${error.message}\n`);
  process.exit(1);
});
child.once('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
