import {
  ApiKeys,
  BudgetRegister,
  Directory,
  IdempotencyLedger,
  KeyRing,
  Limiting,
  limitStores,
  Pepper,
  PriceList,
  roles,
  SecretSeal,
  Usage,
  type Role,
} from '#libs/access';
import { AuditKeys, Auditing } from '#libs/audit';
import { FolderPlace } from '#libs/audit/adapters/folder';
import { RolloutLedger, Rollouts, type TemporalLink } from '#libs/control';
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
import { sluiceError } from '#libs/kernel';
import { createLogger } from '#libs/platform';
import { trace } from '@opentelemetry/api';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assemblePrivacy, type PrivacyAssembly } from '../../apps/api/assembly-privacy.js';
import { Admissions } from '../../apps/api/http/admissions.js';
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
  admissions: Admissions;
  limiting: Limiting;
  /** `Authorization` by role. */
  as: Record<Role, { authorization: string }>;
  /** What was given to Temporal. */
  workflows: { started: unknown[]; commands: unknown[] };
  privacy: PrivacyAssembly;
  drain(): void;
}

export const testMasterKey = Buffer.alloc(32, 5);

const noTemporal: Pick<TemporalLink, 'call'> = {
  call: () => Promise.reject(sluiceError('SLU_PLATFORM_TEMPORAL_DOWN')),
};

/** What other parts may be made of. */
export interface MadeParts extends Pick<ServerParts, 'registry' | 'endpoints' | 'replicaSets' | 'log'> {
  db: FreshDatabase;
  keys: KeyRing;
  folder: string;
  privacy: PrivacyAssembly;
}

const untold = { onLost: () => undefined, onBack: () => undefined };

/** The API on a database of its own, without replicas and without Temporal. */
export async function managementApi(
  folderAccess: FolderAccess = { kind: 'any' },
  change: Partial<ServerParts> | ((made: MadeParts) => Promise<Partial<ServerParts>> | Partial<ServerParts>) = {},
  settings: Partial<ServerSettings> = {},
  trust: { sources?: ArtifactSources; bundles?: BundleVerifier; link?: Pick<TemporalLink, 'call'> } = {},
): Promise<ManagementApi> {
  const db = await freshDatabase();
  const { database } = db;
  const folder = await mkdtemp(join(tmpdir(), 'sluice-api-'));
  const log = createLogger({ service: 'test', level: 'silent' });
  const auditing = await Auditing.start({
    database,
    keys: new AuditKeys(testMasterKey),
    place: new FolderPlace(join(folder, 'checkpoints')),
    log,
  });
  const pepper = new Pepper(testMasterKey);
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
  const stores = limitStores({ redisUrl: undefined, withoutRedis: { kind: 'refuse' }, ...untold });
  const limiting = new Limiting({ database, stores });
  await limiting.book.load();
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
  await using stack = new AsyncDisposableStack();
  const privacy = assemblePrivacy(
    {
      config: { envelopeKeys: [], earlierMasterKeys: [], requestRetentionDays: 30, payloadRetentionDays: 7 },
      masterKey: testMasterKey,
      database,
      link: trust.link ?? noTemporal,
      log,
    },
    stack,
  );
  const quarantine = new QuarantineLedger({ database, log });
  const refusals = new RefusalLog({ database, log });
  const masterKey = testMasterKey;
  const idempotency = new IdempotencyLedger({ database, seal: new SecretSeal(masterKey), masterKey });
  let isDraining = false;
  const registry = new ModelRegistry(database, store, replicaSets, signatures);
  const changed =
    typeof change === 'function'
      ? await change({ db, keys: keyRing, log, folder, registry, endpoints, replicaSets, privacy })
      : change;
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
      privacy: privacy.parts,
      apiKeys,
      limiting,
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
  const owned = stack.move();
  return {
    app,
    privacy,
    db,
    folder,
    auditing,
    refusals,
    gatekeeper: new Gatekeeper(keyRing, refusals),
    admissions: new Admissions(limiting.limits, refusals),
    limiting,
    workflows,
    as: Object.fromEntries(made) as ManagementApi['as'],
    drain: () => (isDraining = true),
    [Symbol.asyncDispose]: async () => {
      await app.close();
      await owned.disposeAsync();
      await refusals[Symbol.asyncDispose]();
      await idempotency[Symbol.asyncDispose]();
      await quarantine[Symbol.asyncDispose]();
      keyRing[Symbol.dispose]();
      limiting[Symbol.dispose]();
      await auditing[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
