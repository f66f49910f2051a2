import 'reflect-metadata';
import { defaultProjectId, defaultTenantId, type Principal } from '#libs/access';
import { createLogger } from '#libs/platform';
import { trace } from '@opentelemetry/api';
import { createServer, type ServerParts } from '../server.js';
import type { OpenApiDocument } from './openapi.js';

const reader: Principal = {
  kind: 'key',
  id: 'nobody',
  keyId: 'nobody',
  name: 'documentation',
  roles: ['admin'],
  tenantId: defaultTenantId,
  projectId: defaultProjectId,
  tier: 'internal',
};

/** The OpenAPI document of the routes alone: nothing stands behind them, so only the document can be asked for. */
export async function documentAlone(): Promise<OpenApiDocument> {
  const nothing = new Proxy({}, { get: (_target, name) => (name === 'then' ? undefined : nothing) }) as never;
  const parts = new Proxy(
    {
      identities: { authenticate: () => reader },
      log: createLogger({ service: 'docs', level: 'silent' }),
      tracer: trace.getTracer('docs'),
      isDraining: () => false,
      // Taken apart before it is handed on.
      privacy: nothing,
      spending: nothing,
    },
    { get: (target, name) => (name in target ? target[name as keyof typeof target] : nothing) },
  ) as unknown as ServerParts;
  const app = await createServer(parts, { version: '0.0.0', bodyLimitBytes: 1_024 });
  const answer = await app.inject({ url: '/openapi.json', headers: { authorization: 'Bearer none' } });
  await app.close();
  return answer.json();
}
