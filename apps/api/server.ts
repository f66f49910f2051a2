import { timeOrderedId } from '#libs/platform';
import type { ClientAddresses, IdempotencyLedger } from '#libs/access';
import { hours, secondsToMs } from '#libs/kernel';
import type { Logger, TlsCertificate } from '#libs/platform';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Tracer } from '@opentelemetry/api';
import { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import { appModule, type ManagementParts } from './app.module.js';
import { parseBodies } from './http/body-parsers.js';
import { Admissions } from './http/admissions.js';
import { openToOrigins } from './http/cross-origin.js';
import { Gatekeeper, type Authenticator } from './http/gatekeeper.js';
import { keepAnswers } from './http/idempotency.js';
import { ManagementSpan } from './http/management-span.js';
import { ProblemFilter } from './http/problem-filter.js';
import type { RefusalLog } from './http/refusal-log.js';
import { gateRequests } from './http/request-gate.js';
import { logRequests, nestLog } from './http/request-log.js';
import { ProtocolPaths } from './http/protocol-paths.js';
import { RouteBook } from './http/route-book.js';
import { schemaPipe } from './http/schema-pipe.js';
import { keepAliveSeconds, tendTransport, transportOptions } from './http/transport.js';
import { refuseUnreadable } from './http/unreadable.js';
import { refuseUnroutable } from './http/unroutable.js';
import { oipPaths, oipSchemas } from './inference/oip-openapi.js';
import { oipRoutes, type OipRoutesOptions } from './inference/oip-routes.js';
import { settingsView } from './inference/oip-settings.js';
import { generatePaths, generateSchemas } from './openai/generate-openapi.js';
import { generateRoutes } from './openai/generate-routes.js';
import { openAiPaths, openAiSchemas } from './openai/openai-openapi.js';
import { openAiRoutes, type OpenAiRoutesOptions } from './openai/openai-routes.js';
import { openApiDocument } from './reference/openapi.js';

export interface ServerParts extends ManagementParts {
  identities: Authenticator;
  addresses?: ClientAddresses | undefined;
  refusals: Pick<RefusalLog, 'note'>;
  idempotency: Pick<IdempotencyLedger, 'admit'>;
  inference: OipRoutesOptions['inference'];
  language: OpenAiRoutesOptions['language'];
  state: OipRoutesOptions['state'];
  loading: OipRoutesOptions['loading'];
  budgets?: OipRoutesOptions['budgets'];
  isReady: () => boolean;
  /** What an operator should know although all is ready; shown beside readiness. */
  notices?: readonly string[];
  isDraining: () => boolean;
  prometheusText: () => Promise<string>;
  tracer: Tracer;
  log: Logger;
}

export interface ServerSettings {
  version: string;
  bodyLimitBytes: number;
  bodyTimeoutSeconds?: number;
  streams?: OpenAiRoutesOptions['streams'];
  /** Share of new traces that are sampled; left out: nothing is traced. */
  traceSampling?: number | undefined;
  /** Left out: plain HTTP. */
  tls?: TlsCertificate | undefined;
  /** Whether browsers may be told never to come without TLS again: not with a certificate that they do not trust. */
  isTlsForGood?: boolean;
  /** Origins whose pages may call from a browser. */
  corsOrigins?: readonly string[];
}

const defaultBodyTimeoutSeconds = 30;
/** A whole request, an upload of an artifact over a slow line included. */
const requestTimeoutSeconds = hours(1);

/** The HTTP server with all its routes, ready to listen or to be injected into. */
export async function createServer(parts: ServerParts, settings: ServerSettings): Promise<NestFastifyApplication> {
  const adapter = httpAdapter(parts.log, settings);
  const fastify = adapter.getInstance<FastifyInstance>();
  tendTransport(fastify, settings.tls, requestTimeoutSeconds);
  await openToOrigins(fastify, settings.corsOrigins ?? []);
  const routes = new RouteBook();
  const gatekeeper = new Gatekeeper(parts.identities, parts.refusals, parts.addresses);
  const admissions = new Admissions(parts.limiting.limits, parts.refusals);
  routes.follow(fastify);
  keepAnswers(fastify, parts.idempotency);
  const paths = new ProtocolPaths(fastify);
  gateRequests(fastify, { gatekeeper, isDraining: parts.isDraining, isTlsForGood: settings.isTlsForGood === true });
  logRequests(fastify, parts.log);
  const { version, bodyLimitBytes, bodyTimeoutSeconds = defaultBodyTimeoutSeconds } = settings;
  parseBodies(fastify, { limitBytes: bodyLimitBytes, timeoutSeconds: bodyTimeoutSeconds });
  const { inference, state, loading, budgets, isReady, notices, isDraining } = parts;
  await fastify.register(oipRoutes, {
    inference,
    state,
    loading,
    budgets,
    settings: settingsView(parts.log, settings.traceSampling),
    paths,
    isReady,
    notices,
    isDraining,
    version,
    bodyLimitBytes,
    bodyTimeoutSeconds,
    pseudonyms: parts.privacy.pseudonyms,
    authenticate: (req, action) => gatekeeper.admit(req, action),
    admissions,
  });
  const { language } = parts;
  const { streams } = settings;
  const authenticate: OpenAiRoutesOptions['authenticate'] = (req, action) => gatekeeper.admit(req, action);
  const { pseudonyms } = parts.privacy;
  const forLanguage = {
    language,
    budgets,
    pseudonyms,
    authenticate,
    admissions,
    isDraining,
    bodyLimitBytes,
    bodyTimeoutSeconds,
    streams,
  };
  await fastify.register(openAiRoutes, { ...forLanguage, state, paths });
  await fastify.register(generateRoutes, forLanguage);

  const openApi = once(() =>
    openApiDocument(version, routes.operations, [
      { paths: oipPaths, schemas: oipSchemas },
      { paths: openAiPaths, schemas: openAiSchemas },
      { paths: generatePaths, schemas: generateSchemas },
    ]),
  );
  const module = appModule(parts, { openApi, metrics: parts.prometheusText });
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    bodyParser: false,
    abortOnError: false,
    logger: nestLog(parts.log),
  });
  app.useGlobalFilters(new ProblemFilter(parts.log, routes, parts.refusals));
  app.useGlobalPipes(schemaPipe());
  app.useGlobalInterceptors(new ManagementSpan(parts.tracer));
  await app.init();
  await fastify.ready();
  return app;
}

function httpAdapter(log: Logger, { bodyLimitBytes, tls }: ServerSettings): FastifyAdapter {
  return new FastifyAdapter({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    // One logger for all: Fastify would make a child of it for each request, and nothing here writes through that.
    childLoggerFactory: (logger: FastifyBaseLogger) => logger,
    // Ids of our own making only: one that a caller chose could be anybody's.
    requestIdHeader: false,
    genReqId: () => timeOrderedId(new Date()),
    bodyLimit: bodyLimitBytes,
    requestTimeout: secondsToMs(requestTimeoutSeconds),
    keepAliveTimeout: secondsToMs(keepAliveSeconds),
    ...transportOptions(tls),
    clientErrorHandler: refuseUnreadable,
    forceCloseConnections: 'idle',
    // While it closes, the routes themselves say so in their own error shapes.
    return503OnClosing: false,
    skipMiddie: true,
    // As long as a request line can be: a name that is too long is one that nothing has, and its 404 comes by the gate.
    routerOptions: { maxParamLength: 16_384 },
    frameworkErrors: refuseUnroutable,
  });
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
