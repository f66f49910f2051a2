import 'reflect-metadata';
import { secondsToMs } from '#libs/kernel';
import { createLogger, loadConfig, startTelemetry, stopOnSignals, superviseParent, tellParent } from '#libs/platform';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { assemble } from './assembly.js';
import { GrpcServer } from './grpc/grpc-server.js';
import { Admissions } from './http/admissions.js';
import { Gatekeeper } from './http/gatekeeper.js';
import { settingsView } from './inference/oip-settings.js';
import { defaultStreamSettings } from './openai/event-stream.js';
import { createServer } from './server.js';
import { openCertificate } from './assembly-tls.js';

const service = 'sluice-api';
/** A load balancer needs a moment to see that this process is not ready any more. */
const lingerMs = 500;
const closeIdleEveryMs = 50;
/** How long answers under way may still take; the launcher waits a little longer for this process. */
const streamEndMs = 25_000;

superviseParent();
const config = loadConfig(process.env);
const log = createLogger({ service, level: config.logLevel });
const stack = new AsyncDisposableStack();
let isDraining = false;
let finishRequests = async (): Promise<void> => undefined;

stopOnSignals(async (reason) => {
  log.info({ reason }, 'stopping');
  isDraining = true;
  await finishRequests();
  await stack.disposeAsync();
  log.info('stopped');
});

const telemetry = stack.use(
  await startTelemetry({
    service,
    version: config.version,
    otlpEndpoint: config.otlpEndpoint,
    sampling: config.traceSampling,
  }),
);
const tls = await openCertificate(config, log, stack);
const parts = await assemble(config, log, telemetry, stack);
const { inference, language } = parts;
const isReady = (): boolean => !isDraining && inference.isReady;
const traceSampling = config.otlpEndpoint === undefined ? undefined : config.traceSampling;
const app = await createServer(
  { ...parts, isReady, isDraining: () => isDraining },
  {
    version: config.version,
    bodyLimitBytes: config.bodyLimitBytes,
    streams: { ...defaultStreamSettings, heartbeatMs: secondsToMs(config.streamHeartbeatSeconds) },
    traceSampling,
    tls,
    isTlsForGood: config.tls.kind === 'files',
    corsOrigins: config.corsOrigins,
  },
);
const grpc = await GrpcServer.start(
  {
    inference,
    state: parts.state,
    pseudonyms: parts.privacy.pseudonyms,
    loading: parts.loading,
    budgets: parts.budgets,
    settings: settingsView(log, traceSampling),
    isDraining: () => isDraining,
    gatekeeper: new Gatekeeper(parts.identities, parts.refusals, parts.addresses),
    admissions: new Admissions(parts.limiting.limits, parts.refusals),
    isReady,
    log,
    version: config.version,
  },
  { host: config.host, port: config.grpcPort, messageLimitBytes: config.bodyLimitBytes, tls },
);
finishRequests = async () => {
  await Promise.all([inference.drain(), language.drain(streamEndMs), pause(lingerMs)]);
  await grpc[Symbol.asyncDispose]();
  const server = app.getHttpServer();
  // A connection that was busy when the server closed is idle after its answer, and would keep the process waiting.
  const closer = setInterval(() => server.closeIdleConnections(), closeIdleEveryMs);
  await app.close();
  clearInterval(closer);
};

await app.listen(config.port, config.host);
const { port } = app.getHttpServer().address() as AddressInfo;
log.info({ host: config.host, port, grpcPort: grpc.port, tls: config.tls.kind }, 'listening');
tellParent({ kind: 'ready', port });
