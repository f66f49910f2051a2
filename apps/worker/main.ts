import { createErasureActivities } from '#activities/erasure.activities';
import { erasurePorts } from '#activities/erasure-ports';
import { createRolloutActivities } from '#activities/rollout.activities';
import {
  AbandonedRollouts,
  RolloutLedger,
  RolloutSweeper,
  RolloutWorkflows,
  TemporalLink,
  VersionDrain,
} from '#libs/control';
import { AppendReceipts, AuditKeys, sealAuditRows } from '#libs/audit';
import { Endpoints, ModelSignatures, ReplicaSets } from '#libs/inference';
import { SigstoreVerifier } from '#libs/inference/adapters/sigstore';
import {
  createLogger,
  loadConfig,
  required,
  startTelemetry,
  stopOnSignals,
  superviseParent,
  tellParent,
} from '#libs/platform';
import { Database, wallMissing } from '#libs/store';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions';
import { setTimeout as pause } from 'node:timers/promises';
import { rolloutPorts } from '#activities/rollout-ports';
import { installRuntime } from './temporal-runtime.js';
import { TemporalWorker } from './temporal-worker.js';
import { workflowBundle } from './workflow-bundle.js';
import { workflowSpanSink } from './workflow-spans.js';

const service = 'sluice-worker';
const databaseRetryMs = 1_000;

superviseParent();
const config = loadConfig(process.env);
const logger = createLogger({ service, level: config.logLevel });
installRuntime(logger);

const resources = new AsyncDisposableStack();
stopOnSignals(async (reason) => {
  logger.info({ reason }, 'stopping');
  await resources.disposeAsync();
});

const telemetry = resources.use(
  await startTelemetry({
    service,
    version: config.version,
    otlpEndpoint: config.otlpEndpoint,
    sampling: config.traceSampling,
  }),
);
const spans = telemetry.spanExporter === undefined ? undefined : new BatchSpanProcessor(telemetry.spanExporter);
const resource = resourceFromAttributes({ [ATTR_SERVICE_NAME]: service, [ATTR_SERVICE_VERSION]: config.version });

const database = resources.use(await connectDatabase());
if (database.wallGaps.length > 0) logger.warn({ gaps: database.wallGaps }, wallMissing);
const receipts = resources.use(new AppendReceipts({ database, log: logger }));
await sealAuditRows(database, {
  onAppend: (rows) => receipts.note(rows),
  keys: new AuditKeys(required(config.masterKey, 'SLUICE_MASTER_KEY'), config.earlierMasterKeys),
});
const temporal = { address: required(config.temporalAddress, 'TEMPORAL_ADDRESS'), namespace: config.temporalNamespace };

const sweeper = resources.use(
  new RolloutSweeper({
    database,
    abandoned: abandonedRollouts(),
    workflows: new RolloutWorkflows(resources.use(new TemporalLink(temporal))),
    logger,
  }),
);
const worker = resources.use(
  new TemporalWorker({
    ...temporal,
    bundle: await workflowBundle(),
    activities: {
      ...createRolloutActivities(rolloutPorts(database, await modelSignatures())),
      ...createErasureActivities(erasurePorts(config, database)),
    },
    sinks: { exporter: workflowSpanSink(spans, resource) },
    logger,
    onPolling: () => tellParent({ kind: 'ready' }),
  }),
);
worker.start();
sweeper.start();

/** A route is written here as well, so what signs versions must be known here as well. */
async function modelSignatures(): Promise<ModelSignatures> {
  const { sigstoreTrustRoot } = config;
  const bundles = sigstoreTrustRoot === undefined ? undefined : await SigstoreVerifier.open(sigstoreTrustRoot);
  return new ModelSignatures(database, bundles);
}

function abandonedRollouts(): AbandonedRollouts {
  const replicaSets = new ReplicaSets(database);
  const endpoints = new Endpoints(database, replicaSets);
  const ledger = new RolloutLedger(database, endpoints);
  return new AbandonedRollouts({
    database,
    endpoints,
    replicaSets,
    ledger,
    drain: new VersionDrain(database, replicaSets),
  });
}

async function connectDatabase(): Promise<Database> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await Database.connect({
        url: required(config.databaseUrl, 'DATABASE_URL'),
        applicationName: service,
        poolSize: 4,
        isRestricted: true,
      });
    } catch (failure) {
      if (config.databaseUrl === undefined) throw failure;
      if (attempt === 1) logger.warn({ err: failure }, 'PostgreSQL cannot be reached; waiting for it');
      await pause(databaseRetryMs);
    }
  }
}
