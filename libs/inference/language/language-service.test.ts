import { createLogger } from '#libs/platform';
import { randomUUID } from 'node:crypto';
import { expect, it, vi } from 'vitest';
import { freshDatabase } from '../../../test/support/database.js';
import { ScriptedUpstream, talking } from '../../../test/support/openai-upstream.js';
import { ServingRowsWriter } from '../../../test/support/serving-rows.js';
import { OpenAiReplica } from '../adapters/openai/openai-replica.js';
import { InferenceService } from '../service/inference-service.js';
import type { LanguageAsk } from './language-ask.js';
import { LanguageService } from './language-service.js';
import { OutcomeCounters } from '../records/outcome-counters.js';
import type { RequestRecord } from '../records/request-record.js';
import { ServingState } from '../routes/serving-state.js';

const log = createLogger({ service: 'test', level: 'silent' });

it('serves by the routes of the database: arms by chance or key, exact versions, counted and recorded like tensors', async () => {
  await using db = await freshDatabase();
  await using upstream = await ScriptedUpstream.start(talking());
  const rows = new ServingRowsWriter(db.database);
  const language = { format: 'gguf', inputs: undefined, outputs: undefined };
  for (const version of ['1', '2']) {
    await rows.version('smol', version, language);
    await rows.replica('smol', version);
  }
  await rows.endpoint('chat', 'smol', [
    { name: 'stable', version: '1', weight: 50 },
    { name: 'candidate', version: '2', weight: 50 },
  ]);
  await using state = new ServingState({ database: db.database, log });
  await state.load();
  await using counters = new OutcomeCounters({ database: db.database, log });
  const records: RequestRecord[] = [];
  const recorder = { record: (record: RequestRecord) => void records.push(record) };
  let chance = 0.1;
  await using inference = new InferenceService({
    state,
    counters,
    recorder,
    log,
    openReplica: ({ id }) => new OpenAiReplica({ id, address: upstream.address, model: 'upstream-name' }),
    random: () => chance,
  });
  await using service = new LanguageService({ inference, recorder, log });
  await vi.waitFor(() => expect(inference.isReady).toBe(true));
  const ask = (part: Partial<LanguageAsk> = {}) =>
    service.begin({
      endpoint: 'chat',
      path: '/v1/chat/completions',
      body: { messages: [] },
      isStream: false,
      wantsUsage: false,
      choices: 1,
      prompt: { field: 'messages', characters: 0, tokens: 0 },
      bytesIn: 30,
      requestId: randomUUID(),
      keyId: randomUUID(),
      ...part,
    });

  const candidate = ask();
  expect(JSON.parse(await candidate.whole())).toMatchObject({ model: 'chat' });
  expect([candidate.arm, candidate.version]).toEqual(['candidate', '2']);
  chance = 0.9;
  expect([ask().arm, ask({ version: '2' }).arm, ask({ version: '2' }).version]).toEqual(['stable', 'pinned', '2']);
  const sticky = new Set([0.1, 0.5, 0.9].map((next) => ((chance = next), ask({ stickyKey: 'somebody' }).arm)));
  expect(sticky.size).toBe(1);

  const nobody = ask({ endpoint: 'nobody' });
  await expect(nobody.whole()).rejects.toMatchObject({ code: 'SLU_ENDPOINT_UNKNOWN' });
  expect(records).toMatchObject([
    { endpoint: 'chat', arm: 'candidate', version: '2', status: 200, outcome: 'ok', rows: 1, bytesIn: 30 },
    { endpoint: 'nobody', arm: '-', status: 404, errorCode: 'SLU_ENDPOINT_UNKNOWN', outcome: 'caller' },
  ]);
  const totals = [...counters.totals].find(({ arm }) => arm === 'candidate')!;
  expect(totals.outcomes.ok).toBe(1);

  // A route that is replaced does not end what is under way; a drain waits for nobody for ever.
  const drained = inference.drain();
  await expect(ask().whole()).rejects.toMatchObject({ code: 'SLU_INFERENCE_DRAINING' });
  await Promise.all([drained, service.drain(20)]);
  expect(service.inFlight).toBe(0);
});
