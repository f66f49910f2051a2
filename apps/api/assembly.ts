import { SecretSeal, type Budgets } from '#libs/access';
import type { PayloadRecorder } from '#libs/audit';
import { RolloutLedger, Rollouts, RolloutWorkflows, TemporalLink } from '#libs/control';
import {
  ArtifactSources,
  ArtifactStore,
  EndpointLoading,
  Endpoints,
  InferenceService,
  ModelLineage,
  LanguageMetrics,
  LanguageService,
  ModelRegistry,
  ModelSignatures,
  OutcomeCounters,
  QuarantineLedger,
  RecordSpool,
  registerInferenceMetrics,
  RemoteConnections,
  replicaOpener,
  ReplicaSets,
  RequestRecorder,
  SecretHeaderRing,
  SecretHeaders,
  ServingState,
  SigningKeys,
  type FolderAccess,
  type SourceAccess,
} from '#libs/inference';
import { OciFetcher } from '#libs/inference/adapters/oci';
import { S3Fetcher } from '#libs/inference/adapters/s3';
import { SigstoreVerifier } from '#libs/inference/adapters/sigstore';
import { days, systemClock } from '#libs/kernel';
import {
  artifactGuard,
  isOwnMachine,
  remoteGuard,
  required,
  type Logger,
  type SluiceConfig,
  type Telemetry,
} from '#libs/platform';
import { ChangeFeed, Database, wallMissing, type ChangeFeedListener } from '#libs/store';
import { setTimeout as pause } from 'node:timers/promises';
import { assembleLimits } from './assembly-limits.js';
import { openIdempotency } from './assembly-idempotency.js';
import { assembleSpending } from './assembly-budgets.js';
import { assembleIdentity } from './assembly-identity.js';
import { assemblePrivacy, rewrapDataKeys } from './assembly-privacy.js';
import { startAuditing } from './assembly-audit.js';
import { RefusalLog } from './http/refusal-log.js';
import type { ServerParts } from './server.js';

export interface Assembly extends Omit<ServerParts, 'isReady' | 'isDraining' | 'inference' | 'language' | 'budgets'> {
  inference: InferenceService;
  language: LanguageService;
  budgets: Budgets;
}

const service = 'sluice-api';
const databaseRetryMs = 1_000;

/** Makes everything that the API stands on and hands it to the stack, which takes it down in reverse order. */
export async function assemble(
  config: SluiceConfig,
  log: Logger,
  telemetry: Telemetry,
  stack: AsyncDisposableStack,
): Promise<Assembly> {
  const masterKey = required(config.masterKey, 'SLUICE_MASTER_KEY');
  const seal = new SecretSeal(masterKey);
  const databaseUrl = required(config.databaseUrl, 'DATABASE_URL');
  const database = stack.use(await connect(databaseUrl, log));
  if (database.wallGaps.length > 0) log.warn({ gaps: database.wallGaps }, wallMissing);
  const auditing = await withRetry(() => startAuditing(config, database, log, telemetry, stack), log);
  const refusals = stack.use(new RefusalLog({ database, log }));
  const limiting = assembleLimits(config, { database, log, telemetry }, stack);
  const identity = assembleIdentity(config, database, log, stack);
  const { keyRing } = identity;
  const idempotency = openIdempotency(database, masterKey, log, stack);
  const link = stack.use(temporalLink(config));
  const management = await manage(config, { database, link }, stack);
  const { budgets, spending } = assembleSpending(config, { database, log, telemetry, seal, refusals }, stack);
  const state = stack.use(new ServingState({ database, log }));
  const quarantine = stack.use(new QuarantineLedger({ database, log }));
  const secrets = stack.use(new SecretHeaderRing({ database, seal, log }));
  const privacy = assemblePrivacy({ config, masterKey, database, link, log, telemetry }, stack);
  const { payloads } = privacy;
  const serving = await serve(config, { database, log, telemetry, state, quarantine, secrets, payloads }, stack);
  const { inference, language } = serving;
  const { endpoints, replicaSets } = management;
  const loading = new EndpointLoading({
    database,
    endpoints,
    replicaSets,
    isUp: (versionKey) => inference.hasReadyReplica(versionKey),
  });
  await withRetry(() => keyRing.load(), log);
  await withRetry(() => limiting.book.load(), log);
  await withRetry(() => budgets.start(), log);
  await secrets.load();
  await state.load();
  await rewrapDataKeys(privacy.dataKeys, log);
  await management.registry
    .sweep()
    .catch((err: unknown) => log.warn({ err }, 'the artifact folder could not be swept'));
  const heard = [keyRing, budgets, ...(identity.tokens === undefined ? [] : [identity.tokens])];
  const feed = stack.use(
    new ChangeFeed(
      databaseUrl,
      `${service}-feed`,
      followers([...heard, limiting.book, secrets, state, quarantine, privacy.openWindows], log),
    ),
  );
  await feed.start();
  return {
    ...management,
    privacy: privacy.parts,
    secretHeaders: new SecretHeaders(database, seal),
    ...identity,
    auditing,
    budgets,
    spending,
    refusals,
    limiting,
    idempotency,
    state,
    inference,
    language,
    loading,
    quarantine,
    prometheusText: () => telemetry.prometheusText(),
    tracer: telemetry.tracer,
    notices: database.wallGaps.length > 0 ? [wallMissing] : [],
    log,
  };
}

type Management = Pick<
  Assembly,
  'registry' | 'signatures' | 'signingKeys' | 'lineage' | 'endpoints' | 'replicaSets' | 'rollouts'
>;

const temporalLink = (config: SluiceConfig): TemporalLink =>
  new TemporalLink({
    address: required(config.temporalAddress, 'TEMPORAL_ADDRESS'),
    namespace: config.temporalNamespace,
  });

async function manage(
  config: SluiceConfig,
  { database, link }: { database: Database; link: TemporalLink },
  stack: AsyncDisposableStack,
): Promise<Management> {
  const replicaSets = new ReplicaSets(database);
  const { sigstoreTrustRoot } = config;
  const bundles = sigstoreTrustRoot === undefined ? undefined : await SigstoreVerifier.open(sigstoreTrustRoot);
  const signatures = new ModelSignatures(database, bundles);
  const endpoints = new Endpoints(database, replicaSets, signatures);
  const store = new ArtifactStore({
    folder: config.artifactFolder,
    folderAccess: folderAccess(config),
    sources: artifactSources(config, stack),
    limits: { totalBytes: config.artifactLimitBytes, fileBytes: config.artifactLimitBytes },
  });
  const rollouts = new Rollouts({
    database,
    endpoints,
    ledger: new RolloutLedger(database, endpoints),
    workflows: new RolloutWorkflows(link),
  });
  return {
    replicaSets,
    endpoints,
    rollouts,
    registry: new ModelRegistry(database, store, replicaSets, signatures),
    signatures,
    signingKeys: new SigningKeys(database),
    lineage: new ModelLineage(database),
  };
}

interface ServingParts {
  database: Database;
  log: Logger;
  telemetry: Telemetry;
  state: ServingState;
  secrets: SecretHeaderRing;
  quarantine: QuarantineLedger;
  payloads: PayloadRecorder;
}

async function serve(
  config: SluiceConfig,
  { database, log, telemetry, state, quarantine, secrets, payloads }: ServingParts,
  stack: AsyncDisposableStack,
): Promise<Pick<Assembly, 'inference' | 'language'>> {
  const counters = stack.use(new OutcomeCounters({ database, log }));
  const spool = await RecordSpool.open({ folder: config.spoolFolder, log });
  const recorder = stack.use(
    new RequestRecorder({ database, spool, log, retentionSeconds: days(config.requestRetentionDays) }),
  );
  // Without a collector nobody would see the spans, and requests need not pay for them.
  const tracer = config.otlpEndpoint === undefined ? undefined : telemetry.tracer;
  const remotes = new RemoteConnections({ secrets, outbound: remoteGuard(config), clock: systemClock, log });
  const inference = stack.use(
    new InferenceService({
      state,
      counters,
      recorder,
      payloads,
      log,
      quarantine: quarantine.quarantine,
      openReplica: replicaOpener(remotes),
      tracer,
    }),
  );
  const metrics = new LanguageMetrics(telemetry.meter, telemetry.histograms);
  const language = stack.use(new LanguageService({ inference, recorder, payloads, log, tracer, metrics }));
  registerInferenceMetrics(telemetry.meter, { service: inference, counters, recorder, spool, state });
  return { inference, language };
}

/** From where `POST /api/models {"path": ...}` may read. Fail closed: only this machine's own people may name any folder. */
export function folderAccess({ artifactRoots, host }: Pick<SluiceConfig, 'artifactRoots' | 'host'>): FolderAccess {
  if (artifactRoots !== undefined) return { kind: 'below', roots: artifactRoots };
  if (isOwnMachine(host)) return { kind: 'any' };
  return {
    kind: 'closed',
    problem: 'the API listens beyond loopback; send an archive, or let the operator set SLUICE_ARTIFACT_ROOTS',
  };
}

function artifactSources(config: SluiceConfig, stack: AsyncDisposableStack): ArtifactSources {
  const { s3Endpoint: endpoint, s3Region: region, ociAuth: auth, ociPlainHttp: plainHttp } = config;
  return new ArtifactSources({
    access: sourceAccess(config),
    fetchers: {
      s3: stack.use(new S3Fetcher({ endpoint, region })),
      oci: stack.use(new OciFetcher({ auth, plainHttp, guard: artifactGuard(config) })),
    },
  });
}

/** From where `POST /api/models {"source": ...}` may fetch; the same thought as with folders. */
function sourceAccess({ artifactSources: prefixes, host }: SluiceConfig): SourceAccess {
  if (prefixes !== undefined) return { kind: 'listed', prefixes };
  if (isOwnMachine(host)) return { kind: 'any' };
  return {
    kind: 'closed',
    problem: 'the API listens beyond loopback; let the operator set SLUICE_ARTIFACT_SOURCES',
  };
}

function followers(all: readonly ChangeFeedListener[], log: Logger): ChangeFeedListener {
  return {
    onChange(change) {
      for (const follower of all) follower.onChange(change);
    },
    onConnected() {
      log.info('changes are followed');
      for (const follower of all) follower.onConnected();
    },
    onLost(reason) {
      log.warn({ reason }, 'changes are not followed; serving goes on with what is known');
      for (const follower of all) follower.onLost(reason);
    },
  };
}

const connect = (url: string, log: Logger): Promise<Database> =>
  withRetry(() => Database.connect({ url, applicationName: service, isRestricted: true }), log);

async function withRetry<T>(work: () => Promise<T>, log: Logger): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (err) {
      if (attempt === 1) log.warn({ err }, 'PostgreSQL cannot be reached; waiting for it');
      await pause(databaseRetryMs);
    }
  }
}
