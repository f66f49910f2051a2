// `npm run histories`: plays each kind of erasure on the time-skipping server and writes its history anew. Only for a change
// that may break replay on purpose: a running erasure replays its own history with the new code.
import { mkdir, writeFile } from 'node:fs/promises';
import { addSubjectAttribute, playErasure, type ErasureScript } from './erasure-stage.ts';
import { historyToJson } from './history-json.ts';
import { RolloutStage } from './rollout-stage.ts';

const folder = new URL('../../workflows/erasure/histories/', import.meta.url);

const plays: Readonly<Record<string, ErasureScript>> = {
  erased: {},
  'erased-after-failures': { failures: { payloads: 2 } },
  'cancelled-in-vain': { cancelsAfterStart: true },
};

await mkdir(folder, { recursive: true });
await using stage = await RolloutStage.open();
await addSubjectAttribute(stage.env);
for (const [name, script] of Object.entries(plays)) {
  const { handle } = await playErasure(stage.env, stage.bundle, script);
  const { events } = historyToJson(await handle.fetchHistory());
  const lines = events.map((event) => JSON.stringify(event)).join(',\n');
  await writeFile(new URL(`${name}.json`, folder), `{"events":[\n${lines}\n]}\n`);
  process.stdout.write(`${name}\n`);
}
