import 'reflect-metadata';
import { createLogger } from '#libs/platform';
import { createServer, type ServerParts } from '../server.js';
import type { OpenApiDocument } from './openapi.js';
import { Reference } from './reference.controller.js';

/** The OpenAPI document of the routes alone. Nothing stands behind them: they are put together, and never called. */
export async function documentAlone(): Promise<OpenApiDocument> {
  const nothing = new Proxy({}, { get: (_target, name) => (name === 'then' ? undefined : nothing) }) as never;
  const known: Partial<Record<keyof ServerParts, object>> = {
    log: createLogger({ service: 'docs', level: 'silent' }),
    limiting: { book: { tierNames: [] }, throttlerStorage: nothing },
  };
  const parts = new Proxy(known, {
    get: (target, name) => target[name as keyof ServerParts] ?? nothing,
  }) as unknown as ServerParts;
  const app = await createServer(parts, { version: '0.0.0', bodyLimitBytes: 1_024 });
  const document = app.get(Reference).openApi();
  await app.close();
  return document;
}
