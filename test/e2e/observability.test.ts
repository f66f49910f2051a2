import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { SluiceInstance } from '../support/sluice-instance.js';
import { TraceCollector, type CollectedSpan } from '../support/trace-collector.js';

const canary = 'zebra-canary-7c1f9e';

let collector: TraceCollector;
let sluice: SluiceInstance;

beforeAll(async () => {
  collector = await TraceCollector.start();
  sluice = await SluiceInstance.start({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.address, SLUICE_TRACE_SAMPLING: '1', SLUICE_LOG_LEVEL: 'debug' },
  });
});
afterAll(async () => {
  await sluice?.[Symbol.asyncDispose]();
  await collector?.[Symbol.asyncDispose]();
});

it('leads one trace from the caller through the batch to the replica', async () => {
  const traceId = 'a'.repeat(31) + '1';
  const answer = await infer('a calm sentence', { traceparent: `00-${traceId}-${'b'.repeat(16)}-01` });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('traceparent')).toContain(traceId);
  const inference = await spanThat(
    (span) => span.traceId === traceId && span.service.includes('api') && /infer/.test(span.name),
  );
  expect(inference.parentSpanId).toBe('b'.repeat(16));
  const run = await spanThat((span) => span.name === 'replica.run' && isBelow(span, traceId));
  expect(run.service).toContain('model-server');
});

it('leads one trace from the management call through the workflow to its activities', async () => {
  const traceId = 'c'.repeat(31) + '2';
  const response = await fetch(`${sluice.base}/api/rollouts`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await sluice.adminKey()}`,
      'content-type': 'application/json',
      traceparent: `00-${traceId}-${'d'.repeat(16)}-01`,
    },
    body: JSON.stringify({ endpoint: 'tone', candidate: '2', strategy: 'canary' }),
  });
  const rollout = (await response.json()) as { id: string };
  expect([201, 202]).toContain(response.status);
  await spanThat((span) => span.traceId === traceId && span.name.startsWith('StartWorkflow'));
  await spanThat((span) => span.traceId === traceId && span.name.startsWith('StartActivity'));
  await spanThat((span) => span.traceId === traceId && span.name.startsWith('RunActivity'));
  expect((await sluice.call('POST', `/api/rollouts/${rollout.id}/abort`, { reason: 'seen enough' })).status).toBe(200);
  // The workflow's own span ends with the workflow.
  await spanThat((span) => span.traceId === traceId && span.name.startsWith('RunWorkflow'));
});

it('never lets the text of a request into a log, a trace, a metric, a record or an error', async () => {
  expect((await infer(`my secret is ${canary}`)).status).toBe(200);
  const wrong = await infer(canary, {}, { shape: [2] });
  expect(wrong.status).toBe(400);
  expect(await wrong.text()).not.toContain(canary);
  const model = await fetch(`${sluice.base}/v2/models/${canary}/infer`, { method: 'POST' });
  expect(model.status).toBe(401);
  await spanThat((span) => span.name === 'replica.run');
  expect(collector.raw).not.toContain(canary);
  expect(JSON.stringify((await sluice.call('GET', '/metrics')).body)).not.toContain(canary);
  await sluice.stop();
  for (const file of await readdir(join(sluice.home, 'logs'))) {
    const text = await readFile(join(sluice.home, 'logs', file), 'utf8');
    const withoutPaths = text.split('\n').filter((line) => !line.includes(`/v2/models/${canary}`));
    expect(
      withoutPaths.filter((line) => line.includes(canary)),
      file,
    ).toEqual([]);
    expect(text.includes(await sluice.adminKey()), `the admin key in ${file}`).toBe(false);
  }
});

async function infer(text: string, headers: Record<string, string> = {}, input: object = {}): Promise<Response> {
  return fetch(`${sluice.base}/v2/models/tone/infer`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await sluice.adminKey()}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: [text], ...input }] }),
  });
}

async function spanThat(isIt: (span: CollectedSpan) => boolean): Promise<CollectedSpan> {
  await vi.waitFor(
    () => {
      const seen = collector.spans.map((span) => `${span.service} ${span.name}`);
      if (!collector.spans.some(isIt)) throw new Error(`no such span among ${seen.join(', ')}`);
    },
    { timeout: 30_000, interval: 100 },
  );
  return collector.spans.find(isIt)!;
}

/** A batch serves several requests, so its trace is linked with theirs where it is not the same. */
function isBelow(span: CollectedSpan, traceId: string): boolean {
  if (span.traceId === traceId) return true;
  return collector.spans.some(
    (other) => other.traceId === span.traceId && other.links.some((link) => link.traceId === traceId),
  );
}
