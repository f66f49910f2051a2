import { createLogger } from '#libs/platform';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { registerPayloadMetrics } from '../audit-metrics.js';
import { DataKeys, MasterKeys } from '../envelope/index.js';
import { PayloadRecorder } from './payload-recorder.js';

class PulledReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

let db: FreshDatabase;
beforeEach(async () => {
  db = await freshDatabase();
});
afterEach(() => db[Symbol.asyncDispose]());

it('payloads that do not fit into the queue are counted in a metric', async () => {
  await using recorder = new PayloadRecorder({
    database: db.database,
    dataKeys: new DataKeys(db.database, new MasterKeys(Buffer.alloc(32, 7), [])),
    windows: { isOpen: () => true },
    redactor: { redact: (text) => text },
    log: createLogger({ service: 'test', level: 'silent' }),
    maxQueued: 2,
  });
  const reader = new PulledReader();
  const provider = new MeterProvider({ readers: [reader] });
  registerPayloadMetrics(provider.getMeter('test'), recorder);
  const payload = {
    requestId: '0197a000-0000-7000-8000-000000000001',
    atMs: Date.now(),
    endpoint: 'tone',
    version: '1',
    tenantId: '00000000-0000-4000-8000-000000000001',
    subject: undefined,
    bytes: 10,
    content: () => ({ text: 'hello' }),
  };
  for (let count = 0; count < 5; count += 1) recorder.take(payload);
  const { resourceMetrics } = await reader.collect();
  const [metric] = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
  expect([metric?.descriptor.name, metric?.dataPoints.map(({ value }) => value)]).toEqual([
    'sluice_audit_payloads_dropped',
    [3],
  ]);
  await provider.shutdown();
});
