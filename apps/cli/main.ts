#!/usr/bin/env node
import { auditCommand } from './audit/audit-command.js';
import { migrateCommand } from './migrate/migrate-command.js';
import { offerChat } from './sample/chat-sample.js';
import { start } from './start/launcher.js';

const usage = `usage: sluice <command>

  start          set up what is missing and run everything; stop with Ctrl-C
  migrate        bring the tables to this release, as the login that owns them, and end
  sample chat    give a running Sluice the endpoint chat, with a small language model
  audit verify   verify an export of the audit trail: <export> <checkpoints> <public key>
  help           this text
`;

const [command = 'help', subject] = process.argv.slice(2);
switch (command) {
  case 'start':
    await start(process.env);
    break;
  case 'migrate':
    process.exitCode = await migrateCommand(process.env);
    break;
  case 'sample':
    if (subject === 'chat') await offerChat(process.env);
    else {
      process.stderr.write(`${subject === undefined ? 'name a sample' : `there is no sample ${subject}`}: chat\n`);
      process.exitCode = 2;
    }
    break;
  case 'audit':
    process.exitCode = await auditCommand(process.argv.slice(3));
    break;
  case 'help':
  case '--help':
    process.stdout.write(usage);
    break;
  default:
    process.stderr.write(`there is no command ${command}\n\n${usage}`);
    process.exitCode = 2;
}
