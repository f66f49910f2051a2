import { listenOnSocket, ModelLoadFailure, OnnxModel } from '#libs/inference/adapters/onnx';
import { startLiveness } from './liveness.js';
import { ModelHttp } from './model-http.js';
import { type ModelServerSettings, readSettings, WrongSetting } from './model-server-settings.js';
import { ProgressMark } from './progress-mark.js';
import { RunTrace } from './run-trace.js';

/** How this process ends, for whoever started it. */
const exitCodes = { done: 0, failure: 1, wrongSettings: 2, loadFailure: 3 } as const;

const tellParent = (message: Record<string, unknown>): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
};

/** Tells the parent (and the log) why, and ends the process as soon as that is on its way. */
function fail(reason: string, exitCode: number): void {
  process.stderr.write(`${reason}\n`);
  const exit = (): never => process.exit(exitCode);
  if (!process.connected) return exit();
  process.send?.({ kind: 'failed', reason }, undefined, undefined, exit);
}

async function main(): Promise<void> {
  let settings: ModelServerSettings;
  try {
    settings = readSettings(process.env);
  } catch (error) {
    return fail(messageOf(error), error instanceof WrongSetting ? exitCodes.wrongSettings : exitCodes.failure);
  }
  await serve(settings);
}

async function serve(settings: ModelServerSettings): Promise<void> {
  const version = process.env['SLUICE_VERSION'] ?? '0';
  const trace = new RunTrace({ otlpEndpoint: process.env['OTEL_EXPORTER_OTLP_ENDPOINT'], version });
  const mark = new ProgressMark();
  const http = new ModelHttp({ version, trace, mark });

  let isStopping = false;
  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    setTimeout(() => process.exit(exitCodes.failure), settings.drainDeadlineMs).unref();
    void http
      .drain()
      .then(() => trace.flush())
      .finally(() => process.exit(exitCodes.done));
  };
  process.on('SIGTERM', stop);
  // Ctrl-C reaches every process of a terminal at once; with a parent, it is the parent that decides who ends when.
  process.on('SIGINT', () => {
    if (!process.connected) stop();
  });
  // Without its parent nobody would ever stop this process.
  process.on('disconnect', stop);

  try {
    await listenOnSocket(http.server, settings.socketPath);
  } catch (error) {
    return fail(`cannot listen on ${settings.socketPath}: ${messageOf(error)}`, exitCodes.wrongSettings);
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
    fail(messageOf(error), error instanceof ModelLoadFailure ? exitCodes.loadFailure : exitCodes.failure);
  }
}

const messageOf = (failure: unknown): string => (failure instanceof Error ? failure.message : String(failure));

await main();
