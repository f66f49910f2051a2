import 'reflect-metadata';
import { createLogger, loadConfig, startTelemetry, stopOnSignals, superviseParent, tellParent } from '#libs/platform';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { assemble } from './assembly.js';
import { createServer } from './server.js';

const service = 'sluice-api';
/** A load balancer needs a moment to see that this process is not ready any more. */
const lingerMs = 500;
const closeIdleEveryMs = 50;

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
const parts = await assemble(config, log, telemetry, stack);
const { inference } = parts;
const app = await createServer(
  { ...parts, isReady: () => !isDraining && inference.isReady, isDraining: () => isDraining },
  { version: config.version, bodyLimitBytes: config.bodyLimitBytes },
);
finishRequests = async () => {
  await Promise.all([inference.drain(), pause(lingerMs)]);
  const server = app.getHttpServer();
  // A connection that was busy when the server closed is idle after its answer, and would keep the process waiting.
  const closer = setInterval(() => server.closeIdleConnections(), closeIdleEveryMs);
  await app.close();
  clearInterval(closer);
};

await app.listen(config.port, config.host);
const { port } = app.getHttpServer().address() as AddressInfo;
log.info({ host: config.host, port }, 'listening');
tellParent({ kind: 'ready', port });
