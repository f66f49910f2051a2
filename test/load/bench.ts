// `npm run bench [-- infer|memory|limits|soak|gateway|peers|audit|safety] [--short] [--rounds=N] [--seconds=N]
// [--requests=N] [--minutes=N] [--only=name,...]`: what Sluice reaches beside baselines and peers of the same minute.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { SluiceInstance } from '../support/sluice-instance.ts';
import { benchAudit } from './bench-audit.ts';
import { benchGateway } from './bench-gateway.ts';
import { benchGatewayPeers } from './bench-gateway-peers.ts';
import { benchInfer } from './bench-infer.ts';
import { benchMemory } from './bench-memory.ts';
import { benchPeers } from './bench-peers.ts';
import { benchSafety } from './bench-safety.ts';
import { benchSoak } from './bench-soak.ts';
import { offerModel } from './bench-models.ts';
import { readBenchOptions } from './bench-options.ts';
import { say } from './bench-report.ts';
import { ensureLoadClient } from './load-client.ts';

const options = readBenchOptions(process.argv.slice(2));
const isWanted = (part: string): boolean => options.part === part || options.part === 'all';

// A PostgreSQL of its own is all that it needs, and nothing else shall run beside it.
if (isWanted('audit')) await benchAudit(options);
if (options.part === 'audit') process.exit(0);

if (isWanted('safety')) benchSafety(options);
if (options.part === 'safety') process.exit(0);

if (isWanted('limits')) {
  say('limits: one admission and its release');
  spawnSync(process.execPath, [fileURLToPath(new URL('limits.mjs', import.meta.url)), String(options.rounds)], {
    stdio: 'inherit',
  });
  // Nothing else has to run for it.
  if (options.part === 'limits') process.exit();
}

await ensureLoadClient();
await using sluice = await SluiceInstance.start();
await offerModel(sluice, 'dense');
if (isWanted('infer')) await benchInfer(sluice, options);
if (isWanted('memory')) await benchMemory(sluice, options);
if (isWanted('gateway')) await benchGateway(sluice, options);
// These come only when they are asked for: the soak takes ten minutes, and peers take gigabytes of packages.
if (options.part === 'soak') await benchSoak(sluice, options);
if (options.part === 'peers') {
  await benchPeers(sluice, options);
  await benchGatewayPeers(sluice, options);
}
