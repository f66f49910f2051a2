import { listenOnSocket, ModelLoadFailure, OnnxModel } from '#libs/inference/adapters/onnx';
import { secondsToMs } from '#libs/kernel';
import { type LivenessSettings, startLiveness } from './liveness.js';
import { ModelHttp } from './model-http.js';
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

interface ModelServerSettings {
  folder: string;
  socketPath: string;
  threads: number;
  drainDeadlineMs: number;
  /** Unset: nobody asks from outside whether this process is alive. */
  liveness: LivenessSettings | undefined;
}

/** The whole numbers among the settings, with their defaults and the largest value of each. */
const numbers = {
  SLUICE_THREADS: [1, 256],
  SLUICE_DRAIN_SECONDS: [30, 86_400],
  SLUICE_LIVENESS_SECONDS: [20, 86_400],
  SLUICE_RUN_LIMIT_SECONDS: [120, 86_400],
} as const;

function readSettings(env: NodeJS.ProcessEnv): ModelServerSettings | string {
  const { SLUICE_MODEL_DIR: folder, SLUICE_SOCKET: socketPath, SLUICE_LIVENESS_SOCKET: livenessPath } = env;
  if (folder === undefined || folder === '') return 'SLUICE_MODEL_DIR: name the folder with sluice.json';
  if (socketPath === undefined || socketPath === '') return 'SLUICE_SOCKET: name the path of the Unix socket';
  const values: Partial<Record<keyof typeof numbers, number>> = {};
  for (const [name, [byDefault, most]] of Object.entries(numbers)) {
    const value = Number(env[name] ?? byDefault);
    if (!Number.isInteger(value) || value < 1 || value > most)
      return `${name}: must be a whole number from 1 to ${most}`;
    values[name as keyof typeof numbers] = value;
  }
  const { SLUICE_THREADS, SLUICE_DRAIN_SECONDS, SLUICE_LIVENESS_SECONDS, SLUICE_RUN_LIMIT_SECONDS } = values as Record<
    keyof typeof numbers,
    number
  >;
  return {
    folder,
    socketPath,
    threads: SLUICE_THREADS,
    drainDeadlineMs: secondsToMs(SLUICE_DRAIN_SECONDS),
    liveness:
      livenessPath === undefined || livenessPath === ''
        ? undefined
        : {
            socketPath: livenessPath,
            silenceLimitMs: secondsToMs(SLUICE_LIVENESS_SECONDS),
            runLimitMs: secondsToMs(SLUICE_RUN_LIMIT_SECONDS),
          },
  };
}

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  if (typeof settings === 'string') return fail(settings, exitCodes.wrongSettings);
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
