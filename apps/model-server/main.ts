import { listenOnSocket, ModelLoadFailure, OnnxModel } from '#libs/inference/adapters/onnx';
import { ModelHttp } from './model-http.js';
import { RunTrace } from './run-trace.js';

/** How this process ends, for whoever started it. */
const exitCodes = { done: 0, failure: 1, wrongSettings: 2, loadFailure: 3 } as const;

const drainDeadlineMs = 30_000;

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
}

function readSettings(env: NodeJS.ProcessEnv): ModelServerSettings | string {
  const { SLUICE_MODEL_DIR: folder, SLUICE_SOCKET: socketPath, SLUICE_THREADS: threadsText = '1' } = env;
  if (folder === undefined || folder === '') return 'SLUICE_MODEL_DIR: name the folder with sluice.json';
  if (socketPath === undefined || socketPath === '') return 'SLUICE_SOCKET: name the path of the Unix socket';
  const threads = Number(threadsText);
  if (!Number.isInteger(threads) || threads < 1 || threads > 256)
    return 'SLUICE_THREADS: must be a whole number from 1 to 256';
  return { folder, socketPath, threads };
}

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  if (typeof settings === 'string') return fail(settings, exitCodes.wrongSettings);
  const version = process.env['SLUICE_VERSION'] ?? '0';
  const trace = new RunTrace({ otlpEndpoint: process.env['OTEL_EXPORTER_OTLP_ENDPOINT'], version });
  const http = new ModelHttp({ version, trace });

  let isStopping = false;
  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    setTimeout(() => process.exit(exitCodes.failure), drainDeadlineMs).unref();
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
  try {
    http.serve(await OnnxModel.load(settings));
    tellParent({ kind: 'ready' });
  } catch (error) {
    fail(messageOf(error), error instanceof ModelLoadFailure ? exitCodes.loadFailure : exitCodes.failure);
  }
}

const messageOf = (failure: unknown): string => (failure instanceof Error ? failure.message : String(failure));

await main();
