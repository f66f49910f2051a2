import { LanguageLoadFailure, LanguageModel, listenOnSocket } from '#libs/inference/adapters/llama';
import { secondsToMs } from '#libs/kernel';
import { LanguageHttp } from './language-http.js';
import { startLiveness } from './liveness.js';

/** How this process ends, for whoever started it. */
const exitCodes = { done: 0, failure: 1, wrongSettings: 2, loadFailure: 3 } as const;

/** Whoever drains this process ends it at its deadline. What is not done shortly before that is told so. */
const lastWordsMs = secondsToMs(2);
const defaultStallMs = secondsToMs(20);

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

interface LanguageServerSettings {
  folder: string;
  socketPath: string;
  /** Unset: nobody asks from outside whether this process is alive. */
  livenessPath: string | undefined;
  threads: number;
  drainDeadlineMs: number;
  runLimitMs: number;
  stallMs: number;
}

/** The whole numbers among the settings, with their defaults and the largest value of each. */
const numbers = {
  SLUICE_THREADS: [1, 256],
  SLUICE_DRAIN_SECONDS: [30, 86_400],
  SLUICE_RUN_LIMIT_SECONDS: [120, 86_400],
  SLUICE_STALL_MS: [defaultStallMs, 3_600_000],
} as const;

function readSettings(env: NodeJS.ProcessEnv): LanguageServerSettings | string {
  const { SLUICE_MODEL_DIR: folder, SLUICE_SOCKET: socketPath } = env;
  if (folder === undefined || folder === '') return 'SLUICE_MODEL_DIR: name the folder with sluice.json';
  if (socketPath === undefined || socketPath === '') return 'SLUICE_SOCKET: name the path of the Unix socket';
  const wrong = Object.entries(numbers).find(([name, [byDefault, most]]) => {
    const value = Number(env[name] ?? byDefault);
    return !Number.isInteger(value) || value < 1 || value > most;
  });
  if (wrong !== undefined) return `${wrong[0]}: must be a whole number from 1 to ${wrong[1][1]}`;
  const valueOf = (name: keyof typeof numbers): number => Number(env[name] ?? numbers[name][0]);
  return {
    folder,
    socketPath,
    livenessPath: env['SLUICE_LIVENESS_SOCKET'] || undefined,
    threads: valueOf('SLUICE_THREADS'),
    drainDeadlineMs: secondsToMs(valueOf('SLUICE_DRAIN_SECONDS')),
    runLimitMs: secondsToMs(valueOf('SLUICE_RUN_LIMIT_SECONDS')),
    stallMs: valueOf('SLUICE_STALL_MS'),
  };
}

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  if (typeof settings === 'string') return fail(settings, exitCodes.wrongSettings);
  const http = new LanguageHttp({ version: process.env['SLUICE_VERSION'] ?? '0', stallMs: settings.stallMs });
  let model: LanguageModel | undefined;

  let isStopping = false;
  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    const { drainDeadlineMs } = settings;
    setTimeout(() => void model?.endAnswers(), Math.max(0, drainDeadlineMs - lastWordsMs)).unref();
    setTimeout(() => process.exit(exitCodes.failure), drainDeadlineMs).unref();
    void http.drain().finally(() => process.exit(exitCodes.done));
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
    model = await LanguageModel.load(settings);
    const { livenessPath, runLimitMs } = settings;
    const { stepMs } = model;
    if (livenessPath !== undefined) await startLiveness({ socketPath: livenessPath, runLimitMs, stepMs });
    http.serve(model);
    const residentMiB = Math.round(process.memoryUsage().rss / 1_024 ** 2);
    process.stdout.write(`${model.description}, ${settings.threads} threads, ${residentMiB} MiB resident\n`);
    const runtime = { providers: model.providers, threads: settings.threads, fallbacks: [] };
    tellParent({ kind: 'ready', runtime, livenessSocket: livenessPath });
  } catch (error) {
    fail(messageOf(error), error instanceof LanguageLoadFailure ? exitCodes.loadFailure : exitCodes.failure);
  }
}

const messageOf = (failure: unknown): string => (failure instanceof Error ? failure.message : String(failure));

await main();
