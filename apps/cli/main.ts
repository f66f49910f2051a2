#!/usr/bin/env node
import { start } from './start/launcher.js';

const usage = `usage: sluice <command>

  start    set up what is missing and run everything; stop with Ctrl-C
  help     this text
`;

const [command = 'help'] = process.argv.slice(2);
switch (command) {
  case 'start':
    await start(process.env);
    break;
  case 'help':
  case '--help':
    process.stdout.write(usage);
    break;
  default:
    process.stderr.write(`there is no command ${command}\n\n${usage}`);
    process.exitCode = 2;
}
