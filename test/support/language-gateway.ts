import { openAdmissions } from './open-admissions.js';
import {
  LanguageService,
  OpenAiReplica,
  type LiveArm,
  type LiveEndpoint,
  type ModelTask,
  type OpenAiReplicaSettings,
  type RequestRecord,
  type ServedVersion,
} from '#libs/inference';
import type { Budgets, Principal } from '#libs/access';
import { createLogger } from '#libs/platform';
import { sluiceError, systemClock } from '#libs/kernel';
import fastify, { type FastifyInstance } from 'fastify';
import type { AddressInfo } from 'node:net';
import type { Admissions } from '../../apps/api/http/admissions.js';
import { openAiRoutes } from '../../apps/api/openai/openai-routes.js';
import { defaultStreamSettings, type StreamSettings } from '../../apps/api/openai/event-stream.js';
import type { LanguageServiceSettings } from '../../libs/inference/language/language-service.js';
import { ReplicaPool } from '../../libs/inference/replicas/replica-pool.js';
import { VersionStatistics } from '../../libs/inference/service/version-statistics.js';
import { somePrincipal } from './principal.js';

export interface GatewaySettings {
  /** Addresses of model servers, by endpoint. */
  endpoints: Record<string, { task?: ModelTask; upstreams: string[]; settings?: ServedVersion['settings'] }>;
  replica?: Partial<OpenAiReplicaSettings>;
  service?: Partial<LanguageServiceSettings>;
  streams?: Partial<StreamSettings>;
  bodyLimitBytes?: number;
  /** Left out: everybody is let in. */
  admissions?: Admissions;
  /** Left out: nothing is paid. */
  budgets?: Pick<Budgets, 'meter'>;
  caller?: Principal;
  /** Without TLS. Left out: HTTP/1.1. */
  isHttp2?: boolean;
}

export interface Gateway extends AsyncDisposable {
  server: FastifyInstance;
  base: string;
  service: LanguageService;
  records: RequestRecord[];
  pools: Map<string, ReplicaPool>;
  outcomes: string[];
  drain(): void;
}

export const gatewayKey = 'sk-good';

/** The routes of the OpenAI protocol on a real server, with real pools and replicas in front of the given model servers. */
export async function startGateway(settings: GatewaySettings): Promise<Gateway> {
  const log = createLogger({ service: 'test', level: 'silent' });
  const records: RequestRecord[] = [];
  const outcomes: string[] = [];
  const pools = new Map<string, ReplicaPool>();
  const endpoints = new Map<string, LiveEndpoint>();
  for (const [name, given] of Object.entries(settings.endpoints)) {
    endpoints.set(name, liveEndpoint(name, given.task ?? 'text-generation', given.settings ?? {}));
    const pool = new ReplicaPool({
      open: ({ id, address }) => new OpenAiReplica({ id, address, model: 'upstream-name', ...settings.replica }),
      log,
      clock: systemClock,
      onRoom: () => undefined,
      probeEveryMs: 10,
    });
    const places = given.upstreams.map((address, at) => place(name, address, at));
    pool.follow({ desired: places.length, places, newest: undefined });
    pools.set(name, pool);
  }
  let isDraining = false;
  const service = new LanguageService({
    inference: {
      armLane: ({ endpoint, version }) => {
        const live = endpoints.get(endpoint);
        if (live === undefined) throw sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint });
        const arm = version === undefined ? live.arms[0] : live.pinned.get(version);
        if (arm === undefined) throw sluiceError('SLU_MODEL_VERSION_UNKNOWN', { model: endpoint, version: version! });
        const counter = { count: (outcome: string) => void outcomes.push(outcome) };
        const lane = { version: arm.version, pool: pools.get(endpoint)!, statistics: new VersionStatistics() };
        return { arm, lane, counter } as never;
      },
    },
    recorder: { record: (record) => void records.push(record) },
    log,
    replicaWaitMs: 2_000,
    ...settings.service,
  });
  // Everything that this file uses of a server is the same in both.
  const server = (settings.isHttp2 === true
    ? fastify({ http2: true })
    : fastify({ forceCloseConnections: true })) as unknown as FastifyInstance;
  await server.register(openAiRoutes, {
    language: service,
    state: { snapshot: { endpoints, versions: new Map(), replicas: new Map() } },
    admissions: settings.admissions ?? openAdmissions,
    budgets: settings.budgets,
    authenticate: (req) => {
      if (req.headers.authorization === undefined) throw sluiceError('SLU_ACCESS_KEY_MISSING');
      if (req.headers.authorization !== `Bearer ${gatewayKey}`) throw sluiceError('SLU_ACCESS_KEY_INVALID');
      return settings.caller ?? somePrincipal({ id: 'k1' });
    },
    isDraining: () => isDraining,
    bodyLimitBytes: settings.bodyLimitBytes ?? 8_388_608,
    bodyTimeoutSeconds: 1,
    streams: { ...defaultStreamSettings, ...settings.streams },
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  return {
    server,
    base: `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`,
    service,
    records,
    pools,
    outcomes,
    drain: () => (isDraining = true),
    [Symbol.asyncDispose]: async () => {
      await service[Symbol.asyncDispose]();
      await server.close();
      await Promise.all([...pools.values()].map((pool) => pool[Symbol.asyncDispose]()));
    },
  };
}

function liveEndpoint(name: string, task: ModelTask, settings: ServedVersion['settings']): LiveEndpoint {
  const version = servedVersion(name, task, settings);
  const arm: LiveArm = { endpoint: name, revision: 1, name: 'stable', weight: 100, version, bucketEnd: 10_000 };
  const pinned = new Map([['2', { ...arm, name: 'pinned', weight: 0 }]]);
  return { name, model: name, revision: 1, arms: [arm], pinned };
}

const servedVersion = (name: string, task: ModelTask, settings: ServedVersion['settings']): ServedVersion => ({
  key: `${name}/2`,
  model: name,
  version: '2',
  contentDigest: '',
  format: 'remote',
  task,
  settings,
  inputs: [],
  outputs: [],
  maxBatchRows: 1,
  isStackable: false,
  hasFreeSizes: false,
});

const place = (model: string, address: string, at: number) => ({
  id: `${model}-${at}`,
  model,
  version: '2',
  address,
  state: 'ready' as const,
  reason: null,
  startedAt: new Date(),
  endedAt: null,
});
