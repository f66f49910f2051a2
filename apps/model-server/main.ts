import {
  exitCodes,
  failProcess,
  listenOnSocket,
  ModelLoadFailure,
  onProcessEnd,
  OnnxModel,
  tellParent,
} from '#libs/inference/adapters/onnx';
import { messageOf } from '#libs/kernel';
import { startLiveness } from './liveness.js';
import { ModelHttp } from './model-http.js';
import { type ModelServerSettings, readSettings, WrongSetting } from './model-server-settings.js';
import { ProgressMark } from './progress-mark.js';
import { RunTrace } from './run-trace.js';

async function main(): Promise<void> {
  let settings: ModelServerSettings;
  try {
    settings = readSettings(process.env);
  } catch (error) {
    return failProcess(messageOf(error), error instanceof WrongSetting ? exitCodes.wrongSettings : exitCodes.failure);
  }
  await serve(settings);
}

async function serve(settings: ModelServerSettings): Promise<void> {
  const version = process.env['SLUICE_VERSION'] ?? '0';
  const trace = new RunTrace({ otlpEndpoint: process.env['OTEL_EXPORTER_OTLP_ENDPOINT'], version });
  const mark = new ProgressMark();
  const http = new ModelHttp({ version, trace, mark });

  onProcessEnd(() => {
    setTimeout(() => process.exit(exitCodes.failure), settings.drainDeadlineMs).unref();
    void http
      .drain()
      .then(() => trace.flush())
      .finally(() => process.exit(exitCodes.done));
  });

  try {
    await listenOnSocket(http.server, settings.socketPath);
  } catch (error) {
    return failProcess(`cannot listen on ${settings.socketPath}: ${messageOf(error)}`, exitCodes.wrongSettings);
  }
  const { liveness } = settings;
  try {
    // Both at once: the thread takes as long to start as a small model to load.
    const [model] = await Promise.all([
      OnnxModel.load(settings),
      liveness === undefined ? undefined : startLiveness(mark, liveness),
    ]);
    const { runtime } = model;
    for (const fallback of runtime.fallbacks)
      process.stderr.write(`${fallback}; it runs on ${runtime.providers.join(', ')}\n`);
    http.serve(model);
    // Loading blocked this thread, and whoever hears that it is ready may ask at once whether it lives.
    mark.beat();
    tellParent({ kind: 'ready', runtime, ...(liveness !== undefined && { livenessSocket: liveness.socketPath }) });
  } catch (error) {
    failProcess(messageOf(error), error instanceof ModelLoadFailure ? exitCodes.loadFailure : exitCodes.failure);
  }
}

await main();
