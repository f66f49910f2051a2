import {
  ApiKeys,
  BudgetRegister,
  Directory,
  IdempotencyLedger,
  KeyRing,
  Pepper,
  PriceList,
  roles,
  SecretSeal,
  Usage,
  type Role,
} from '#libs/access';
import { AuditKeys, Auditing } from '#libs/audit';
import { FolderPlace } from '#libs/audit/adapters/folder';
import { RolloutLedger, Rollouts } from '#libs/control';
import {
  ArtifactStore,
  EndpointLoading,
  Endpoints,
  ModelLineage,
  ModelRegistry,
  ModelSignatures,
  QuarantineLedger,
  ReplicaSets,
  SecretHeaders,
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
import { Gatekeeper } from '../../apps/api/http/gatekeeper.js';
import { RefusalLog } from '../../apps/api/http/refusal-log.js';
import { createServer, type ServerParts, type ServerSettings } from '../../apps/api/server.js';
import { freshDatabase, type FreshDatabase } from './database.js';

export interface ManagementApi extends AsyncDisposable {
  app: NestFastifyApplication;
  db: FreshDatabase;
  folder: string;
  refusals: RefusalLog;
  auditing: Auditing;
  gatekeeper: Gatekeeper;
  /** `Authorization` by role. */
  as: Record<Role, { authorization: string }>;
  /** What was given to Temporal. */
  workflows: { started: unknown[]; commands: unknown[] };
  drain(): void;
}

/** What other parts may be made of. */
export interface MadeParts extends Pick<ServerParts, 'registry' | 'endpoints' | 'replicaSets' | 'log'> {
  db: FreshDatabase;
  keys: KeyRing;
}

/** The API on a database of its own, without replicas and without Temporal. */
export async function managementApi(
  folderAccess: FolderAccess = { kind: 'any' },
  change: Partial<ServerParts> | ((made: MadeParts) => Partial<ServerParts>) = {},
  settings: Partial<ServerSettings> = {},
  trust: { sources?: ArtifactSources; bundles?: BundleVerifier } = {},
): Promise<ManagementApi> {
  const db = await freshDatabase();
  const { database } = db;
  const folder = await mkdtemp(join(tmpdir(), 'sluice-api-'));
  const log = createLogger({ service: 'test', level: 'silent' });
  const auditing = await Auditing.start({
    database,
    keys: new AuditKeys(Buffer.alloc(32, 5)),
    place: new FolderPlace(join(folder, 'checkpoints')),
    log,
  });
  const pepper = new Pepper(Buffer.alloc(32, 5));
  const keyRing = new KeyRing({ database, pepper });
  const afterChange = (id: string): Promise<void> => keyRing.refresh(id);
  const apiKeys = new ApiKeys({ database, pepper, afterChange });
  const made = await Promise.all(
    roles.map(async (role) => [
      role,
      { authorization: `Bearer ${(await apiKeys.create({ name: role, roles: [role], actor: 'system' })).key}` },
    ]),
  );
  await keyRing.load();
  const replicaSets = new ReplicaSets(database);
  const signatures = new ModelSignatures(database, trust.bundles);
  const endpoints = new Endpoints(database, replicaSets, signatures);
  const store = new ArtifactStore({ folder: join(folder, 'artifacts'), folderAccess, sources: trust.sources });
  const seal = new SecretSeal(Buffer.alloc(32, 5));
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
  const quarantine = new QuarantineLedger({ database, log });
  const refusals = new RefusalLog({ database, log });
  const masterKey = Buffer.alloc(32, 5);
  const idempotency = new IdempotencyLedger({ database, seal: new SecretSeal(masterKey), masterKey });
  let isDraining = false;
  const registry = new ModelRegistry(database, store, replicaSets, signatures);
  const changed =
    typeof change === 'function' ? change({ db, keys: keyRing, log, registry, endpoints, replicaSets }) : change;
  const app = await createServer(
    {
      registry,
      signatures,
      signingKeys: new SigningKeys(database),
      lineage: new ModelLineage(database),
      endpoints,
      replicaSets,
      secretHeaders: new SecretHeaders(database, seal),
      rollouts,
      quarantine,
      apiKeys,
      auditing,
      directory: new Directory({ database, afterChange }),
      identities: keyRing,
      spending: {
        currency: 'EUR',
        prices: new PriceList(database),
        register: new BudgetRegister(database, seal),
        usage: new Usage(database),
      },
      refusals,
      idempotency,
      log,
      language: {
        begin: () => {
          throw new Error('no inference here');
        },
      },
      inference: {
        infer: () => Promise.reject(new Error('no inference here')),
        hasReadyReplica: () => false,
        statistics: { find: () => undefined } as never,
        schedulingOf: () => undefined as never,
      },
      state: { endpoint: () => undefined, snapshot: { endpoints: new Map(), replicas: new Map() } as never },
      loading: new EndpointLoading({ database, endpoints, replicaSets, isUp: () => false, waitSeconds: 1 }),
      isReady: () => !isDraining,
      isDraining: () => isDraining,
      prometheusText: async () => '# no metrics\n',
      tracer: trace.getTracer('test'),
      ...changed,
    },
    { version: '0.0.0-test', bodyLimitBytes: 4_096, bodyTimeoutSeconds: 1, ...settings },
  );
  return {
    app,
    db,
    folder,
    auditing,
    refusals,
    gatekeeper: new Gatekeeper(keyRing, refusals),
    workflows,
    as: Object.fromEntries(made) as ManagementApi['as'],
    drain: () => (isDraining = true),
    [Symbol.asyncDispose]: async () => {
      await app.close();
      await refusals[Symbol.asyncDispose]();
      await idempotency[Symbol.asyncDispose]();
      await quarantine[Symbol.asyncDispose]();
      keyRing[Symbol.dispose]();
      await auditing[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
