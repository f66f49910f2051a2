import { expect, vi } from 'vitest';
import type { SluiceInstance } from './sluice-instance.js';

const readyPatience = { timeout: 60_000, interval: 100 };

/** Serves a language model behind OpenAI's protocol as the endpoint `far`. Resolves when that is ready. */
export async function offerFar(sluice: SluiceInstance, url: string, model: string): Promise<void> {
  const remote = { protocol: 'openai', targets: [{ url, model }] };
  const manifest = { schemaVersion: 1, name: 'far', version: '1', format: 'remote', task: 'text-generation', remote };
  expect((await sluice.call('POST', '/api/models', { manifest })).status).toBe(201);
  const endpoint = { name: 'far', model: 'far', version: '1' };
  expect((await sluice.call('POST', '/api/endpoints', endpoint)).status).toBe(201);
  const isReady = async (): Promise<void> =>
    expect((await sluice.call('GET', '/v2/models/far/ready')).status).toBe(200);
  await vi.waitFor(isReady, readyPatience);
}
