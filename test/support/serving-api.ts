import {
  EndpointLoading,
  InferenceService,
  LanguageService,
  modelServerSpawner,
  OutcomeCounters,
  RemoteConnections,
  RecordSpool,
  replicaOpener,
  RequestRecorder,
  ReplicaSupervisor,
  ServingState,
} from '#libs/inference';
import type { TemporalLink } from '#libs/control';
import { mebibytes, systemClock } from '#libs/kernel';
import { createLogger, OutboundGuard } from '#libs/platform';
import { ChangeFeed, type Database } from '#libs/store';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GrpcServer } from '../../apps/api/grpc/grpc-server.js';
import { settingsView } from '../../apps/api/inference/oip-settings.js';
import { managementApi, type ManagementApi, type MadeParts } from './management-api.js';

export interface ServingApi extends AsyncDisposable {
  api: ManagementApi;
  base: string;
  port: number;
  grpcPort: number;
  inference: InferenceService;
  recorder: RequestRecorder;
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const log = createLogger({ service: 'test', level: 'silent' });
const bodyLimitBytes = mebibytes(1);

/**
 * The API with both its ports open and real model servers behind it: everything but Temporal. Each model is served by an
 * endpoint of its name; the first answer of each has been seen.
 * @param models folders with a `sluice.json`, from the root of the repository
 */
export async function servingApi(models: readonly string[], link?: Pick<TemporalLink, 'call'>): Promise<ServingApi> {
  await using stack = new AsyncDisposableStack();
  const parts: { serving?: Serving } = {};
  const api = await managementApi(
    { kind: 'any' },
    async (made) => {
      parts.serving = await serve(made);
      return parts.serving;
    },
    { bodyLimitBytes, bodyTimeoutSeconds: 30 },
    link === undefined ? {} : { link },
  );
  stack.use(api);
  const { inference, language, state, loading, counters, recorder } = parts.serving!;
  stack.use(recorder);
  stack.use(counters);
  stack.use(state);
  stack.use(inference);
  stack.use(language);
  const supervisor = await supervise(api.db.database, stack);
  const feed = new ChangeFeed(api.db.url, 'test-feed', {
    onChange: (change) => {
      state.onChange(change);
      api.privacy.openWindows.onChange(change);
      if (supervisor.concerns(change)) void supervisor.reconcile();
    },
    onConnected: () => {
      state.onConnected();
      api.privacy.openWindows.onConnected();
    },
    onLost: () => state.onLost(),
  });
  stack.use(feed);
  await feed.start();
  for (const folder of models) await bringUp(api, loading, folder);
  await api.app.listen(0, '127.0.0.1');
  const grpc = stack.use(
    await GrpcServer.start(
      {
        inference,
        state,
        loading,
        pseudonyms: api.privacy.parts.pseudonyms,
        gatekeeper: api.gatekeeper,
        admissions: api.admissions,
        settings: settingsView(log, undefined),
        isReady: () => inference.isReady,
        isDraining: () => false,
        log,
        version: '0.0.0-test',
      },
      { host: '127.0.0.1', port: 0, messageLimitBytes: bodyLimitBytes },
    ),
  );
  const { port } = api.app.getHttpServer().address() as AddressInfo;
  const owned = stack.move();
  return {
    api,
    port,
    base: `http://127.0.0.1:${port}`,
    grpcPort: grpc.port,
    inference,
    recorder,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Serving {
  inference: InferenceService;
  language: LanguageService;
  state: ServingState;
  loading: EndpointLoading;
  counters: OutcomeCounters;
  recorder: RequestRecorder;
}

async function serve({ db, folder, endpoints, replicaSets, privacy }: MadeParts): Promise<Serving> {
  const { database } = db;
  const state = new ServingState({ database, log });
  const counters = new OutcomeCounters({ database, log });
  const { payloads } = privacy;
  const spool = await RecordSpool.open({ folder: join(folder, 'spool'), log });
  const recorder = new RequestRecorder({ database, spool, log, flushEveryMs: 20 });
  const inference = new InferenceService({
    state,
    counters,
    recorder,
    payloads,
    openReplica: replicaOpener(
      new RemoteConnections({
        secrets: { valuesOf: () => new Map() },
        outbound: new OutboundGuard({ unlisted: 'any', setting: '' }),
        clock: systemClock,
        log,
      }),
    ),
    log,
  });
  const language = new LanguageService({ inference, recorder, payloads, log });
  const isUp = (versionKey: string): boolean => inference.hasReadyReplica(versionKey);
  const loading = new EndpointLoading({ database, endpoints, replicaSets, isUp });
  return { state, inference, language, counters, loading, recorder };
}

async function supervise(database: Database, stack: AsyncDisposableStack): Promise<ReplicaSupervisor> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-r-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const supervisor = new ReplicaSupervisor({
    database,
    host: 'test',
    socketFolder: folder,
    spawnReplica: modelServerSpawner({ entryPath: here('../../dist/apps/model-server/main.js'), threads: 1 }),
  });
  stack.defer(() => supervisor.stop());
  await supervisor.start();
  return supervisor;
}

async function bringUp({ app, as }: ManagementApi, loading: EndpointLoading, folder: string): Promise<void> {
  const post = async (url: string, payload: object): Promise<Record<string, string>> => {
    const answer = await app.inject({ method: 'POST', url, headers: as.admin, payload });
    if (answer.statusCode >= 300) throw new Error(`${url} answered ${answer.statusCode}: ${answer.body}`);
    return answer.json<Record<string, string>>();
  };
  const { model, version } = await post('/api/models', { path: here(`../../${folder}`) });
  await post('/api/endpoints', { name: model, model, version });
  await loading.load({ endpoint: model!, actor: 'test' });
}
