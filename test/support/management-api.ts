import { ApiKeys, KeyRing, Pepper, roles, type Role } from '#libs/access';
import { RolloutLedger, Rollouts } from '#libs/control';
import {
  ArtifactStore,
  Endpoints,
  ModelLineage,
  ModelRegistry,
  ModelSignatures,
  ReplicaSets,
  SigningKeys,
  type ArtifactSources,
  type BundleVerifier,
  type FolderAccess,
} from '#libs/inference';
import { createLogger } from '#libs/platform';
import { trace } from '@opentelemetry/api';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RefusalLog } from '../../apps/api/http/refusal-log.js';
import { createServer, type ServerParts } from '../../apps/api/server.js';
import { freshDatabase, type FreshDatabase } from './database.js';

export interface ManagementApi extends AsyncDisposable {
  app: NestFastifyApplication;
  db: FreshDatabase;
  folder: string;
  refusals: RefusalLog;
  /** `Authorization` by role. */
  as: Record<Role, { authorization: string }>;
  /** What was given to Temporal. */
  workflows: { started: unknown[]; commands: unknown[] };
  drain(): void;
}

/** The API on a database of its own, without replicas and without Temporal. */
export async function managementApi(
  folderAccess: FolderAccess = { kind: 'any' },
  change: Partial<ServerParts> = {},
  trust: { sources?: ArtifactSources; bundles?: BundleVerifier } = {},
): Promise<ManagementApi> {
  const db = await freshDatabase();
  const { database } = db;
  const folder = await mkdtemp(join(tmpdir(), 'sluice-api-'));
  const log = createLogger({ service: 'test', level: 'silent' });
  const pepper = new Pepper(Buffer.alloc(32, 5));
  const apiKeys = new ApiKeys({ database, pepper });
  const made = await Promise.all(
    roles.map(async (role) => [
      role,
      { authorization: `Bearer ${(await apiKeys.create({ name: role, role, actor: 'system' })).key}` },
    ]),
  );
  const keyRing = new KeyRing({ database, pepper });
  await keyRing.load();
  const replicaSets = new ReplicaSets(database);
  const signatures = new ModelSignatures(database, trust.bundles);
  const endpoints = new Endpoints(database, replicaSets, signatures);
  const store = new ArtifactStore({ folder: join(folder, 'artifacts'), folderAccess, sources: trust.sources });
  const workflows = { started: [] as unknown[], commands: [] as unknown[] };
  const rollouts = new Rollouts({
    database,
    endpoints,
    ledger: new RolloutLedger(database, endpoints),
    workflows: {
      start: async (input) => void workflows.started.push(input),
      command: async (id, command, request) => {
        workflows.commands.push({ id, command, ...request });
        return { phase: 'stepping' } as never;
      },
    },
  });
  const refusals = new RefusalLog({ database, log });
  let isDraining = false;
  const app = await createServer(
    {
      registry: new ModelRegistry(database, store, replicaSets, signatures),
      signatures,
      signingKeys: new SigningKeys(database),
      lineage: new ModelLineage(database),
      endpoints,
      replicaSets,
      rollouts,
      apiKeys,
      keyRing,
      refusals,
      log,
      inference: { infer: () => Promise.reject(new Error('no inference here')), hasReadyReplica: () => false },
      state: { endpoint: () => undefined, snapshot: { endpoints: new Map(), replicas: new Map() } as never },
      isReady: () => !isDraining,
      isDraining: () => isDraining,
      prometheusText: async () => '# no metrics\n',
      tracer: trace.getTracer('test'),
      ...change,
    },
    { version: '0.0.0-test', bodyLimitBytes: 4_096, bodyTimeoutSeconds: 1 },
  );
  return {
    app,
    db,
    folder,
    refusals,
    workflows,
    as: Object.fromEntries(made) as ManagementApi['as'],
    drain: () => (isDraining = true),
    [Symbol.asyncDispose]: async () => {
      await app.close();
      await refusals[Symbol.asyncDispose]();
      keyRing[Symbol.dispose]();
      await db[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
